"""Images: options to request messages, reply messages to values."""

from collections.abc import Sequence

from rhapsode.v1 import image_pb2 as pb
from rhapsode_client.convert.diffusion import diffusion
from rhapsode_client.convert.edits import edits, keyframes
from rhapsode_client.convert.pictures import array, input_image, latents, wire_format
from rhapsode_client.convert.scalars import member, number, refuse_unknown, text, whole, wholes, wrong_type
from rhapsode_client.types import (
    Edit,
    EditOptions,
    Encoding,
    GibbsOptions,
    ImageClass,
    ImageFormat,
    ImageOptions,
    ImagesResult,
    ImagesStarted,
    InterpolationMethod,
    KeepBest,
    Keyframe,
    LatentsInput,
    Picture,
    PictureInput,
    WalkOptions,
)


def generation(model: str, options: ImageOptions) -> pb.ImageGeneration:
    """The request for pictures. Raises InvalidRequest where a value has the wrong type for its field."""
    refuse_unknown(options, ImageOptions.__optional_keys__)
    sources = sorted(options.keys() & {"seed", "seeds", "latents"})
    if len(sources) > 1:
        raise wrong_type(sources[1], f"cannot go with {sources[0]}: one source of latents at most")
    message = pb.ImageGeneration(
        model=text("model", model),
        count=whole("count", options["count"]) if "count" in options else None,
        first_index=whole("first_index", options["first_index"]) if "first_index" in options else None,
        image_class=_image_class(options.get("image_class")),
        format=wire_format(options.get("format", ImageFormat.PNG)),
        return_latents=options.get("return_latents", False),
        truncation=number("truncation", options["truncation"]) if "truncation" in options else None,
        keep_best=_keep_best(options["keep_best"]) if "keep_best" in options else None,
        attributes=edits("attributes", options.get("attributes", ())),
        diffusion=diffusion(options["diffusion"]) if "diffusion" in options else None,
        gibbs=_gibbs(options["gibbs"]) if "gibbs" in options else None,
    )
    _set_source(message, options)
    return message


def _set_source(message: pb.ImageGeneration, options: ImageOptions) -> None:
    if "seed" in options:
        message.seed = whole("seed", options["seed"], bits=64)
    elif "seeds" in options:
        message.seeds.CopyFrom(pb.Seeds(seeds=wholes("seeds", options["seeds"], bits=64)))
    elif "latents" in options:
        message.latents.CopyFrom(pb.Latents(latents=latents("latents", options["latents"])))


def _keep_best(value: KeepBest | int) -> pb.KeepBest:
    best = value if isinstance(value, KeepBest) else KeepBest(value)
    return pb.KeepBest(drawn=whole("keep_best.drawn", best.drawn), critic=text("keep_best.critic", best.critic))


def _gibbs(options: GibbsOptions) -> pb.GibbsOptions:
    return pb.GibbsOptions(
        steps=None if options.steps is None else whole("gibbs.steps", options.steps),
        preview_every=None if options.preview_every is None else whole("gibbs.preview_every", options.preview_every),
    )


def _image_class(value: ImageClass | None) -> pb.ImageClass | None:
    if value is None:
        return None
    if isinstance(value, str):
        return pb.ImageClass(name=text("image_class", value))
    return pb.ImageClass(id=whole("image_class", value))


def walk(model: str, points: Sequence[Keyframe], options: WalkOptions) -> pb.InterpolateImagesRequest:
    """The request for a walk. Raises InvalidRequest as `generation`, OSError for a file that cannot be read."""
    refuse_unknown(options, WalkOptions.__optional_keys__)
    method = options.get("method", InterpolationMethod.LERP)
    return pb.InterpolateImagesRequest(
        model=text("model", model),
        keyframes=keyframes("keyframes", points),
        method=pb.InterpolationMethod.Value(f"INTERPOLATION_METHOD_{method.name}"),
        frames_per_segment=(
            whole("frames_per_segment", options["frames_per_segment"]) if "frames_per_segment" in options else None
        ),
        loop=options.get("loop", False),
        image_class=_image_class(options.get("image_class")),
        format=wire_format(options.get("format", ImageFormat.PNG)),
        return_latents=options.get("return_latents", False),
    )


def edit_request(
    model: str, sources: Sequence[Keyframe], common: Sequence[Edit], options: EditOptions
) -> pb.EditImagesRequest:
    """The request to edit pictures. Raises InvalidRequest as `generation`, OSError for a file that cannot be read."""
    refuse_unknown(options, EditOptions.__optional_keys__)
    return pb.EditImagesRequest(
        model=text("model", model),
        sources=keyframes("sources", sources),
        edits=edits("edits", common),
        image_class=_image_class(options.get("image_class")),
        format=wire_format(options.get("format", ImageFormat.PNG)),
        return_latents=options.get("return_latents", False),
    )


def encode_request(model: str, images: Sequence[PictureInput]) -> pb.EncodeImagesRequest:
    """The request for latents of pictures. Raises InvalidRequest, or OSError for a file that cannot be read."""
    inputs = [input_image(f"images[{index}]", value) for index, value in enumerate(images)]
    return pb.EncodeImagesRequest(model=text("model", model), images=inputs)


def decode_request(
    model: str,
    points: LatentsInput,
    image_class: ImageClass | None,
    image_format: ImageFormat,
) -> pb.DecodeLatentsRequest:
    """The request for pictures of latents [count, size]. Raises InvalidRequest for wrong types."""
    return pb.DecodeLatentsRequest(
        model=text("model", model),
        latents=latents("latents", points),
        image_class=_image_class(image_class),
        format=wire_format(image_format),
    )


def started(message: pb.ImagesStarted) -> ImagesStarted:
    """What the server made of a request."""
    seed = message.seed if message.HasField("seed") else None
    return ImagesStarted(message.model, message.version, message.fingerprint, seed, message.count)


def picture(message: pb.Image, offset: int = 0) -> Picture:
    """A picture, its index moved by `offset`."""
    return Picture(
        index=message.index + offset,
        format=member(ImageFormat, pb.ImageFormat.Name, message.format, "IMAGE_FORMAT_"),
        width=message.width,
        height=message.height,
        channels=message.channels,
        data=message.data,
        latent=array(message.latent) if message.HasField("latent") else None,
        row=message.row if message.HasField("row") else None,
        realness=message.realness if message.HasField("realness") else None,
        steps_taken=message.steps_taken if message.HasField("steps_taken") else None,
    )


def result(reply: pb.GenerateImagesResponse) -> ImagesResult:
    """All pictures."""
    return ImagesResult(started(reply.started), tuple(picture(message) for message in reply.images))


def encodings(reply: pb.EncodeImagesResponse) -> tuple[Encoding, ...]:
    """One encoding for each picture."""
    return tuple(
        Encoding(array(message.mean), array(message.log_variance), message.converted) for message in reply.encodings
    )
