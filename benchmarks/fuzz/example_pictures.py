"""Requests about pictures that a model can answer."""

import struct
from collections.abc import Sequence
from random import Random

from benchmarks.fuzz.pictures import files

from rhapsode.v1 import image_pb2, model_pb2
from rhapsode.v1.model_pb2 import Model

STEPS = 3  # few: what is asked is looked at, not how much


def pictures(model: Model, random: Random) -> image_pb2.ImageGeneration:
    """A few pictures."""
    asked = image_pb2.ImageGeneration(model=model.name, seed=random.getrandbits(64), count=random.randint(1, 3))
    asked.format = random.choice(image_pb2.ImageFormat.values())
    if model.HasField("gibbs"):
        asked.gibbs.steps = STEPS
    if model.HasField("diffusion"):
        asked.diffusion.steps = STEPS
    if model.classes and random.random() < 0.5:
        asked.image_class.id = random.randrange(len(model.classes))
    _choose_pictures(asked, model, random)
    return asked


def _choose_pictures(asked: image_pb2.ImageGeneration, model: Model, random: Random) -> None:
    """Set one of the options that pictures may have, or none."""
    match random.randrange(10):
        case 0:
            asked.truncation = random.uniform(0.01, 1)
        case 1:
            asked.return_latents = True
        case 2:
            asked.first_index = random.randint(0, 10**9)
        case 3:
            asked.seeds.seeds.extend(random.getrandbits(64) for _ in range(asked.count))
        case 4 if model.latent.size:
            asked.latents.latents.extend(latent(model, random) for _ in range(asked.count))
        case 5 if model.attributes:
            asked.attributes.add(name=random.choice(model.attributes).name)
        case 6:
            asked.keep_best.drawn = asked.count + random.randint(0, 3)
        case 7 if model.HasField("diffusion"):
            asked.diffusion.preview_every = 1
        case 7 if model.HasField("gibbs"):
            asked.gibbs.preview_every = 1


def latent(model: Model, random: Random) -> image_pb2.Latent:
    """A point of the model's latent space."""
    return image_pb2.Latent(values=[random.gauss(0, 1) for _ in range(model.latent.size)])


def class_of(model: Model, random: Random) -> image_pb2.ImageClass | None:
    """One of the model's classes, where it has any."""
    return image_pb2.ImageClass(id=random.randrange(len(model.classes))) if model.classes else None


def _input(model: Model, random: Random) -> image_pb2.InputImage:
    spec = model.image
    values = spec.height * spec.width * spec.channels
    match random.randrange(3):
        case 0:
            return image_pb2.InputImage(data=random.randbytes(values), format=image_pb2.IMAGE_FORMAT_RAW_UINT8)
        case 1:
            floats = struct.pack(f"<{values}f", *(random.uniform(spec.low, spec.high) for _ in range(values)))
            return image_pb2.InputImage(data=floats, format=image_pb2.IMAGE_FORMAT_RAW_FLOAT32)
        case _:
            return image_pb2.InputImage(data=random.choice(files()))


def inputs(model: Model, random: Random) -> Sequence[image_pb2.InputImage]:
    """Raw pictures of the model's shape, and files of any."""
    return [_input(model, random) for _ in range(random.randint(1, 2))]


def _keyframe(model: Model, random: Random) -> image_pb2.Keyframe:
    if random.random() < 0.3 and model_pb2.CAPABILITY_ENCODE_IMAGES in model.capabilities:
        return image_pb2.Keyframe(image=_input(model, random))
    if random.random() < 0.5:
        return image_pb2.Keyframe(seed=random.getrandbits(64))
    return image_pb2.Keyframe(latent=latent(model, random))


def walk(model: Model, random: Random) -> image_pb2.InterpolateImagesRequest:
    """A short walk."""
    return image_pb2.InterpolateImagesRequest(
        model=model.name,
        keyframes=[_keyframe(model, random) for _ in range(2)],
        frames_per_segment=random.randint(1, 3),
        image_class=class_of(model, random),
        method=random.choice(image_pb2.InterpolationMethod.values()),
    )


def editing(model: Model, random: Random) -> image_pb2.EditImagesRequest:
    """An edit by a vector."""
    asked = image_pb2.EditImagesRequest(model=model.name, sources=[_keyframe(model, random)])
    asked.edits.add(vector=latent(model, random), strength=random.uniform(-2, 2))
    if model.classes:
        asked.image_class.id = 0
    return asked


def compressing(model: Model, random: Random) -> image_pb2.CompressImagesRequest:
    """Pictures to compress."""
    return image_pb2.CompressImagesRequest(model=model.name, images=inputs(model, random))
