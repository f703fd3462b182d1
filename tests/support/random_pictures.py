"""Random requests for pictures: by seed or latent, walks between them, and pictures to encode."""

import io

import numpy as np
from PIL import Image

from rhapsode.v1 import image_pb2, model_pb2
from rhapsode.v1.image_pb2 import (
    CompressImagesRequest,
    DecodeLatentsRequest,
    EncodeImagesRequest,
    ImageClass,
    ImageGeneration,
    InputImage,
    InterpolateImagesRequest,
    Keyframe,
    Latent,
    Latents,
    Seeds,
    TransformImagesRequest,
)
from rhapsode.v1.model_pb2 import Model
from support.dice import Dice

MOST_PICTURES, MOST_KEYFRAMES, MOST_FRAMES = 8, 4, 6
FORMATS = image_pb2.ImageFormat.values()
METHODS = image_pb2.InterpolationMethod.values()


def pictures(model: Model, dice: Dice) -> ImageGeneration:
    """Pictures of one seed from any row on, of a seed each, or of latents."""
    asked = ImageGeneration(model=model.name, format=dice.pick(FORMATS), return_latents=dice.chance(0.5))
    count, source = dice.size(MOST_PICTURES), dice.below(4)
    if source == 0:
        asked.latents.CopyFrom(Latents(latents=[_latent(model, dice) for _ in range(count)]))
    elif source == 1:
        asked.seeds.CopyFrom(Seeds(seeds=[dice.seed() for _ in range(count)]))
    else:
        asked.count, asked.seed, asked.first_index = count, dice.seed(), dice.pick([0, dice.below(1000)])
    if model.classes and (source == 0 or dice.chance(0.5)):
        asked.image_class.CopyFrom(_class(model, dice))
    return asked


def walk(model: Model, dice: Dice) -> InterpolateImagesRequest:
    """A walk over keyframes of every kind that the model can read."""
    asked = InterpolateImagesRequest(
        model=model.name,
        keyframes=[_keyframe(model, dice) for _ in range(2 + dice.below(MOST_KEYFRAMES - 1))],
        method=dice.pick(METHODS),
        frames_per_segment=dice.size(MOST_FRAMES),
        loop=dice.chance(0.3),
        format=dice.pick(FORMATS),
        return_latents=dice.chance(0.5),
    )
    if model.classes:
        asked.image_class.CopyFrom(_class(model, dice))
    return asked


def decoding(model: Model, dice: Dice) -> DecodeLatentsRequest:
    """Latents to decode."""
    latents = [_latent(model, dice) for _ in range(dice.size(MOST_PICTURES))]
    asked = DecodeLatentsRequest(model=model.name, latents=latents, format=dice.pick(FORMATS))
    if model.classes:
        asked.image_class.CopyFrom(_class(model, dice))
    return asked


def encoding(model: Model, dice: Dice) -> EncodeImagesRequest:
    """Pictures of noise to encode."""
    inputs = [_input(model, dice) for _ in range(dice.size(MOST_PICTURES))]
    return EncodeImagesRequest(model=model.name, images=inputs)


def compression(model: Model, dice: Dice) -> CompressImagesRequest:
    """Pictures of noise to compress."""
    return CompressImagesRequest(model=model.name, images=encoding(model, dice).images)


def transformation(model: Model, dice: Dice) -> TransformImagesRequest:
    """Pictures of noise to transform."""
    images = encoding(model, dice).images
    return TransformImagesRequest(model=model.name, images=images, format=dice.pick(FORMATS))


def _keyframe(model: Model, dice: Dice) -> Keyframe:
    kind = dice.below(3 if model_pb2.CAPABILITY_ENCODE_IMAGES in model.capabilities else 2)
    if kind == 0:
        return Keyframe(seed=dice.seed())
    return Keyframe(latent=_latent(model, dice)) if kind == 1 else Keyframe(image=_input(model, dice))


def _latent(model: Model, dice: Dice) -> Latent:
    return Latent(values=dice.generator.standard_normal(model.latent.size, np.float32).tolist())


def _class(model: Model, dice: Dice) -> ImageClass:
    identity = dice.below(len(model.classes))
    return ImageClass(id=identity) if dice.chance(0.5) else ImageClass(name=model.classes[identity])


def _input(model: Model, dice: Dice) -> InputImage:
    """Raw values of the model's own shape, or a file of any size."""
    spec = model.image
    if dice.chance(0.4):
        size = (1 + dice.below(40), 1 + dice.below(40), 3)
        file = io.BytesIO()
        Image.fromarray(dice.generator.integers(256, size=size, dtype=np.uint8)).save(file, "PNG")
        return InputImage(data=file.getvalue(), format=dice.pick(FORMATS[:2]))
    shape = (spec.height, spec.width, spec.channels)
    if dice.chance(0.5):
        data = dice.generator.integers(256, size=shape, dtype=np.uint8).tobytes()
        return InputImage(data=data, format=image_pb2.IMAGE_FORMAT_RAW_UINT8)
    data = dice.generator.uniform(spec.low, spec.high, shape).astype("<f4").tobytes()
    return InputImage(data=data, format=image_pb2.IMAGE_FORMAT_RAW_FLOAT32)
