"""A request to edit pictures → its sources and the rows to decode; latents with and without → a fitted attribute."""

from collections.abc import Sequence
from dataclasses import dataclass

from rhapsode.v1 import image_pb2
from rhapsode_server.config import Config
from rhapsode_server.errors import OutputTooLarge
from rhapsode_server.models.attributes import Direction
from rhapsode_server.models.latents import Latent
from rhapsode_server.rpc.convert_images import BYTES_BESIDE, ImageJob, fitting, image_writer, maker, stated_class
from rhapsode_server.rpc.convert_latents import moves
from rhapsode_server.rpc.input_pictures import Field
from rhapsode_server.rpc.keyframes import Keyframes, keyframes
from rhapsode_server.rpc.packed import packed
from rhapsode_server.rpc.served import MakeRow, Served


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit whose request fits the model."""

    sources: Keyframes
    frame: ImageJob
    """The job without its rows."""
    make: MakeRow
    class_id: int | None

    def job(self, latents: Sequence[Latent]) -> ImageJob:
        """The job, once every source is a latent."""
        rows = [self.make(place, point, self.class_id, ()) for place, point in enumerate(latents)]
        return ImageJob(self.frame.driver, rows, self.frame.writer, self.frame.latents)


def edit_plan(asked: image_pb2.EditImagesRequest, served: Served, config: Config) -> Edit:
    """Read a request that is within its bounds. Raises RequestError where it does not fit the model."""
    driver, make = maker(served)
    class_id = stated_class(asked.HasField("image_class"), asked.image_class, served)
    sources = keyframes(asked.sources, served, "sources", moves(asked.edits, served, "edits"))
    frame = ImageJob(driver, (), image_writer(asked.format, served), asked.return_latents)
    return Edit(sources, fitting(frame, served, config), make, class_id)


def fit_fields(asked: image_pb2.FitAttributeRequest, served: Served, config: Config) -> Sequence[Field]:
    """The pictures of a request, those with the attribute first. Raises OutputTooLarge where no reply would fit."""
    size = 4 * served.loaded.bundle.latent.size + BYTES_BESIDE + 1024
    if size > config.message_bytes:
        rule = f"has a vector of {size} bytes, over the limit of {config.message_bytes} for a message"
        raise OutputTooLarge("model", rule, {"bytes": str(size), "max": str(config.message_bytes)})
    lists = (("present", asked.present), ("absent", asked.absent))
    return [Field(f"{name}[{place}].data", one) for name, images in lists for place, one in enumerate(images)]


def fitted(direction: Direction, served: Served) -> image_pb2.FitAttributeResponse:
    """What was found."""
    return image_pb2.FitAttributeResponse(
        model=served.loaded.bundle.name,
        version=served.loaded.bundle.version,
        fingerprint=served.loaded.fingerprint,
        vector=packed(image_pb2.Latent, direction.vector),
        separation=direction.separation,
    )
