"""Images: options to request messages, reply messages to values."""

from collections.abc import Sequence
from pathlib import Path
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rhapsode.v1 import image_pb2 as pb
from rhapsode_client.convert.pictures import input_image, latent, latents, wire_format
from rhapsode_client.convert.scalars import member, refuse_unknown, text, whole, wholes, wrong_type
from rhapsode_client.types import (
    Encoding,
    GibbsOptions,
    ImageClass,
    ImageFormat,
    ImageOptions,
    ImagesResult,
    ImagesStarted,
    InterpolationMethod,
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


def walk(model: str, keyframes: Sequence[Keyframe], options: WalkOptions) -> pb.InterpolateImagesRequest:
    """The request for a walk. Raises InvalidRequest as `generation`, OSError for a file that cannot be read."""
    refuse_unknown(options, WalkOptions.__optional_keys__)
    method = options.get("method", InterpolationMethod.LERP)
    return pb.InterpolateImagesRequest(
        model=text("model", model),
        keyframes=[_keyframe(f"keyframes[{index}]", value) for index, value in enumerate(keyframes)],
        method=pb.InterpolationMethod.Value(f"INTERPOLATION_METHOD_{method.name}"),
        frames_per_segment=(
            whole("frames_per_segment", options["frames_per_segment"]) if "frames_per_segment" in options else None
        ),
        loop=options.get("loop", False),
        image_class=_image_class(options.get("image_class")),
        format=wire_format(options.get("format", ImageFormat.PNG)),
        return_latents=options.get("return_latents", False),
    )


def _keyframe(field: str, value: Keyframe) -> pb.Keyframe:
    if isinstance(value, SupportsIndex) and not isinstance(value, np.ndarray):
        return pb.Keyframe(seed=whole(field, value, bits=64))
    if isinstance(value, bytes | Path | Picture | Image.Image):
        return pb.Keyframe(image=input_image(field, value))
    if isinstance(value, np.ndarray) and (value.ndim > 1 or value.dtype == np.uint8):
        return pb.Keyframe(image=input_image(field, value))
    return pb.Keyframe(latent=latent(field, value))


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
        latent=_array(message.latent) if message.HasField("latent") else None,
        steps_taken=message.steps_taken if message.HasField("steps_taken") else None,
    )


def _array(message: pb.Latent) -> NDArray[np.float32]:
    return np.fromiter(message.values, dtype=np.float32, count=len(message.values))


def result(reply: pb.GenerateImagesResponse) -> ImagesResult:
    """All pictures."""
    return ImagesResult(started(reply.started), tuple(picture(message) for message in reply.images))


def encodings(reply: pb.EncodeImagesResponse) -> tuple[Encoding, ...]:
    """One encoding for each picture."""
    return tuple(
        Encoding(_array(message.mean), _array(message.log_variance), message.converted) for message in reply.encodings
    )
