"""A request for pictures → the rows that the engine steps."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rhapsode.v1 import image_pb2
from rhapsode_server.config import Config
from rhapsode_server.errors import InvalidField, OutputTooLarge, Unsupported
from rhapsode_server.models.attributes import Move
from rhapsode_server.models.decoder import ImageRow
from rhapsode_server.models.latents import Draw, Latent
from rhapsode_server.rpc.convert_diffusion import asked_rows, refuse_diffusion, usual_rows
from rhapsode_server.rpc.convert_gibbs import chains, refuse_gibbs
from rhapsode_server.rpc.convert_latents import check_drawn, edited, latent, moves
from rhapsode_server.rpc.convert_text import SEED_BITS
from rhapsode_server.rpc.lazy_rows import LazyRows
from rhapsode_server.rpc.pictures import Format, Writer, writer
from rhapsode_server.rpc.served import DecodeDriver, MakeRow, PictureDriver, PictureRow, Served

ATTRIBUTES = "generation.attributes"
LISTED = 200  # most characters of names that an error lists
BYTES_BESIDE = 64  # most bytes on the wire of an Image besides its data and its latent's numbers


@dataclass(frozen=True, slots=True)
class ImageJob:
    """What a request for pictures asks of a model."""

    driver: PictureDriver
    rows: Sequence[PictureRow]
    writer: Writer
    latents: bool
    """Whether each picture comes with its latent."""
    seed: int | None = None
    """The seed in use; None where nothing was drawn from one."""
    chosen_by: str = ""
    """The fingerprint of another model whose critic chose the rows; empty where none did."""


def generation_job(
    asked: image_pb2.ImageGeneration, served: Served, config: Config, one_reply: bool = False
) -> ImageJob:
    """Read a request that is within its bounds. Raises RequestError where it does not fit the model or itself.

    With `one_reply` all pictures must be sure to fit one message; no row is made for a request that asks for more.
    """
    driver, make = _asked_maker(asked, served, one_reply)
    kind = asked.WhichOneof("source")
    count = _count(asked, kind, config)
    frame = ImageJob(driver, (), image_writer(asked.format, served), asked.return_latents)
    fitting(frame, served, config, "generation.format")
    if one_reply:
        _check_reply(count, frame, served, config)
    class_id = _class(asked.image_class, served, "generation.image_class") if asked.HasField("image_class") else None
    first, listed = asked.first_index, kind in ("seeds", "latents")
    if listed and first:
        raise InvalidField("generation.first_index", f"must not be set beside {kind}")
    if kind == "latents" and asked.HasField("truncation"):
        raise InvalidField("generation.truncation", "must not be set beside latents: they are not drawn")
    if kind == "latents" and class_id is None and served.loaded.bundle.classes:
        raise InvalidField("generation.image_class", "must be set beside latents: there is no noise to draw it with")
    seed = None if listed else asked.seed if kind else secrets.randbits(SEED_BITS)
    steps = moves(asked.attributes, served, ATTRIBUTES)
    check_drawn(steps if kind != "latents" else (), ATTRIBUTES)
    if asked.HasField("keep_best"):  # all that are drawn compete, whichever of them are wanted
        _check_contest(asked, count, kind if listed else None, config)
        first, count = 0, asked.keep_best.drawn
    truncation = asked.truncation if asked.HasField("truncation") else 1.0
    if seed is not None:
        drawn = partial(_drawn, make, seed, truncation, class_id, steps)
        rows: Sequence[PictureRow] = LazyRows(count, lambda place: drawn(first + place))
    else:
        sources = _listed(asked, kind, served, truncation)
        rows = [_row(make, first + place, source, class_id, steps) for place, source in enumerate(sources)]
    return ImageJob(driver, rows, frame.writer, frame.latents, seed)


def _drawn(
    make: MakeRow, seed: int, truncation: float, class_id: int | None, steps: Sequence[Move], index: int
) -> PictureRow:
    return make(index, Draw(seed, index, truncation), class_id, steps)


def _row(make: MakeRow, index: int, source: Draw | Latent, class_id: int | None, steps: Sequence[Move]) -> PictureRow:
    """A row; a latent of the request's own makes its moves now, so that one that leads too far is refused."""
    if isinstance(source, Draw):
        return make(index, source, class_id, steps)
    return make(index, edited(source, steps, ATTRIBUTES), class_id, ())


def decoding_job(asked: image_pb2.DecodeLatentsRequest, served: Served, config: Config) -> ImageJob:
    """Read a request to decode latents that is within its bounds. Raises RequestError where it does not fit."""
    driver, make = maker(served)
    class_id = stated_class(asked.HasField("image_class"), asked.image_class, served)
    latents = [latent(one, served, f"latents[{place}]") for place, one in enumerate(asked.latents)]
    rows = [make(place, point, class_id, ()) for place, point in enumerate(latents)]
    return fitting(ImageJob(driver, rows, image_writer(asked.format, served), latents=False), served, config)


def maker(served: Served) -> tuple[PictureDriver, MakeRow]:
    """What makes pictures of latents in the model's usual way. Raises Unsupported where the model makes none."""
    if served.denoise is not None and served.loaded.denoiser is not None:
        return served.denoise, usual_rows(served.loaded.denoiser, served)
    return decoder(served), ImageRow


def decoder(served: Served) -> DecodeDriver:
    """The driver that decodes latents. Raises Unsupported where the model does not."""
    if served.decode is None:
        lacking = "has no latents" if served.gibbs else "does not make pictures"
        raise Unsupported(f"{served.loaded.bundle.name} {lacking}")
    return served.decode


def _asked_maker(asked: image_pb2.ImageGeneration, served: Served, one_reply: bool) -> tuple[PictureDriver, MakeRow]:
    """The same, in the way that a request asks for."""
    if served.gibbs is not None:
        return served.gibbs, chains(asked, served, one_reply)
    refuse_gibbs(asked, served)
    if served.denoise is not None and served.loaded.denoiser is not None:
        return served.denoise, asked_rows(asked, served.loaded.denoiser, served, one_reply)
    driver, make = maker(served)
    refuse_diffusion(asked, served)
    return driver, make


def picture_bytes(job_writer: Writer, served: Served, latents: bool) -> int:
    """An upper bound of one picture's bytes on the wire, known before there is one."""
    return job_writer.most_bytes + BYTES_BESIDE + (4 * served.loaded.bundle.latent.size if latents else 0)


def images_per_reply(job_writer: Writer, served: Served, latents: bool, config: Config) -> int:
    """Most pictures that one message is sure to hold."""
    return (config.message_bytes - 1024) // picture_bytes(job_writer, served, latents)


def check_encodings_fit(count: int, served: Served, config: Config) -> None:
    """Raise OutputTooLarge where the encodings of so many pictures would outgrow a message."""
    most = (config.message_bytes - 1024) // (8 * served.loaded.bundle.latent.size + BYTES_BESIDE)
    if count > most:
        raise OutputTooLarge("images", f"must have at most {most} elements for this model", {"max_length": str(most)})


def check_pictures_fit(count: int, field: str, chosen: Writer, served: Served, config: Config) -> None:
    """Raise OutputTooLarge, naming `field`, where a reply of so many pictures might outgrow a message."""
    most = images_per_reply(chosen, served, latents=False, config=config)
    if count > most:
        rule = f"must have at most {most} elements in this format"
        raise OutputTooLarge(field, rule, {"max_length": str(most)})


def fitting(job: ImageJob, served: Served, config: Config, field: str = "format") -> ImageJob:
    """The job, where a single picture fits a message. Raises OutputTooLarge, naming `field`, where it might not."""
    if not images_per_reply(job.writer, served, job.latents, config):
        size = picture_bytes(job.writer, served, job.latents)
        rule = f"may give a picture of {size} bytes, over the limit of {config.message_bytes} for a message"
        raise OutputTooLarge(field, rule, {"bytes": str(size), "max": str(config.message_bytes)})
    return job


def _check_contest(asked: image_pb2.ImageGeneration, count: int, listed: str | None, config: Config) -> None:
    if listed:
        raise InvalidField("generation.keep_best", f"must not be set beside {listed}")
    drawn, least, most = asked.keep_best.drawn, asked.first_index + count, config.max_images_per_stream
    if drawn < least:
        rule = f"must be at least first_index + count, {least}, not {drawn}"
        raise InvalidField("generation.keep_best.drawn", rule, {"min": str(least)})
    if drawn > most:
        raise InvalidField("generation.keep_best.drawn", f"must be at most {most}", {"max": str(most)})


def _check_reply(count: int, frame: ImageJob, served: Served, config: Config) -> None:
    most = images_per_reply(frame.writer, served, frame.latents, config)
    if count > most:
        rule = f"must be at most {most} in one reply of this format; StreamImages takes more"
        raise OutputTooLarge("generation.count", rule, {"max": str(most)})


def _count(asked: image_pb2.ImageGeneration, kind: str | None, config: Config) -> int:
    given = len(asked.seeds.seeds) if kind == "seeds" else len(asked.latents.latents) if kind == "latents" else None
    count = asked.count if asked.HasField("count") else given or 1
    if given is not None and count != given:
        raise InvalidField("generation.count", f"must be the number of {kind}, {given}", {"given": str(given)})
    most = config.max_images_per_stream
    if count > most:
        raise InvalidField("generation.count", f"must be in [1, {most}]", {"min": "1", "max": str(most)})
    return count


def _listed(
    asked: image_pb2.ImageGeneration, kind: str | None, served: Served, truncation: float
) -> Sequence[Draw | Latent]:
    if kind == "seeds":
        return [Draw(own, 0, truncation) for own in asked.seeds.seeds]
    latents = enumerate(asked.latents.latents)
    return [latent(one, served, f"generation.latents.latents[{place}]") for place, one in latents]


def stated_class(stated: bool, asked: image_pb2.ImageClass, served: Served) -> int | None:
    """The class of a request that must state one where the model has classes."""
    if stated:
        return _class(asked, served, "image_class")
    if served.loaded.bundle.classes:
        raise InvalidField("image_class", "must be set: the model has classes")
    return None


def _class_rule(classes: Sequence[str]) -> str:
    """What a name must be; the names themselves where they are few."""
    listed = ", ".join(classes)
    return f"must be one of the model's classes{f': {listed}' if len(listed) <= LISTED else ''}"


def _class(asked: image_pb2.ImageClass, served: Served, field: str) -> int:
    classes = list(served.loaded.bundle.classes)
    if not classes:
        raise Unsupported(f"{served.loaded.bundle.name} has no classes")
    match asked.WhichOneof("class"):
        case "id":
            if asked.id >= len(classes):
                raise InvalidField(f"{field}.id", f"must be less than {len(classes)}", {"max": str(len(classes) - 1)})
            return asked.id
        case "name":
            if asked.name not in classes:
                raise InvalidField(f"{field}.name", _class_rule(classes))
            return classes.index(asked.name)
        case _:
            raise InvalidField(field, "must have an id or a name")


def image_writer(asked: Format, served: Served) -> Writer:
    """The writer of a request's pictures."""
    return writer(asked, served.loaded.bundle.image)
