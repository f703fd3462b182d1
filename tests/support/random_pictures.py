"""Random requests for pictures: by seed or latent, walks between them, and pictures to encode."""

import io

import numpy as np
from PIL import Image

from rhapsode.v1 import image_pb2, model_pb2
from rhapsode.v1.image_pb2 import (
    AttributeEdit,
    CompressImagesRequest,
    DecodeLatentsRequest,
    DiffusionOptions,
    EditImagesRequest,
    EncodeImagesRequest,
    FitAttributeRequest,
    ImageClass,
    ImageGeneration,
    InputImage,
    InterpolateImagesRequest,
    KeepBest,
    Keyframe,
    Latent,
    Latents,
    ScoreImagesRequest,
    Seeds,
    TransformImagesRequest,
)
from rhapsode.v1.model_pb2 import Model
from support.dice import Dice

MOST_PICTURES, MOST_KEYFRAMES, MOST_FRAMES, MOST_EDITS, MOST_STEPS = 8, 4, 6, 3, 12
FORMATS = image_pb2.ImageFormat.values()
METHODS = image_pb2.InterpolationMethod.values()


def pictures(model: Model, dice: Dice) -> ImageGeneration:
    """Pictures of one seed from any row on, of a seed each, or of latents; a chain's after few steps."""
    asked = ImageGeneration(model=model.name, format=dice.pick(FORMATS))
    latents = model.latent.size > 0
    asked.return_latents = latents and dice.chance(0.5)
    count, source = dice.size(MOST_PICTURES), dice.below(4) if latents else 1 + dice.below(3)
    if model.HasField("gibbs") and dice.chance(0.9):
        asked.gibbs.steps = 1 + dice.below(MOST_STEPS)
    if source == 0:
        asked.latents.CopyFrom(Latents(latents=[_latent(model, dice) for _ in range(count)]))
    elif source == 1:
        asked.seeds.CopyFrom(Seeds(seeds=[dice.seed() for _ in range(count)]))
    else:
        asked.count, asked.seed, asked.first_index = count, dice.seed(), dice.pick([0, dice.below(1000)])
    if model.classes and (source == 0 or dice.chance(0.5)):
        asked.image_class.CopyFrom(_class(model, dice))
    if latents:
        if source and dice.chance(0.3):
            asked.truncation = dice.between(0.01, 1.0)
        asked.attributes.extend(_edits(model, dice))
    if model.HasField("diffusion") and dice.chance(0.9):
        asked.diffusion.CopyFrom(_way(model, dice, fresh=source != 0))
    return asked


def best(model: Model, dice: Dice) -> ImageGeneration:
    """The best of many pictures of one seed, from any rank on; any pictures where the model has no critic."""
    asked = pictures(model, dice)
    if asked.WhichOneof("source") == "seed" and model_pb2.CAPABILITY_ENCODE_IMAGES not in model.capabilities:
        asked.first_index = dice.below(3)
        asked.keep_best.CopyFrom(KeepBest(drawn=asked.first_index + asked.count + dice.below(MOST_PICTURES)))
    return asked


def judging(model: Model, dice: Dice) -> ScoreImagesRequest:
    """Pictures of noise to judge."""
    inputs = [_input(model, dice) for _ in range(dice.size(MOST_PICTURES))]
    return ScoreImagesRequest(model=model.name, images=inputs)


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


def editing(model: Model, dice: Dice) -> EditImagesRequest:
    """Sources of every kind, some with edits of their own, moved together."""
    return EditImagesRequest(
        model=model.name,
        sources=[_keyframe(model, dice) for _ in range(dice.size(MOST_PICTURES))],
        edits=_edits(model, dice),
        format=dice.pick(FORMATS),
        return_latents=dice.chance(0.5),
    )


def fitting(model: Model, dice: Dice) -> FitAttributeRequest:
    """Pictures of noise to fit a direction to."""
    present, absent = ([_input(model, dice) for _ in range(dice.size(MOST_PICTURES))] for _ in range(2))
    return FitAttributeRequest(model=model.name, present=present, absent=absent)


def _way(model: Model, dice: Dice, fresh: bool) -> DiffusionOptions:
    """A few steps through noise, with fresh noise where that may be."""
    options = DiffusionOptions(steps=1 + dice.below(MOST_STEPS))
    kind = dice.below(3) if fresh else 0
    if kind == 1:
        options.sampler = image_pb2.DIFFUSION_SAMPLER_ANCESTRAL
    elif kind == 2:
        options.eta = dice.below(5) / 4
    if model.classes and dice.chance(0.5):
        options.guidance = dice.below(4) / 2
    return options


def compression(model: Model, dice: Dice) -> CompressImagesRequest:
    """Pictures of noise to compress."""
    return CompressImagesRequest(model=model.name, images=encoding(model, dice).images)


def transformation(model: Model, dice: Dice) -> TransformImagesRequest:
    """Pictures of noise to transform."""
    images = encoding(model, dice).images
    return TransformImagesRequest(model=model.name, images=images, format=dice.pick(FORMATS))


def _keyframe(model: Model, dice: Dice) -> Keyframe:
    kind = dice.below(3 if model_pb2.CAPABILITY_ENCODE_IMAGES in model.capabilities else 2)
    edits = _edits(model, dice)
    if kind == 0:
        return Keyframe(seed=dice.seed(), edits=edits)
    if kind == 1:
        return Keyframe(latent=_latent(model, dice), edits=edits)
    return Keyframe(image=_input(model, dice), edits=edits)


def _edits(model: Model, dice: Dice) -> list[AttributeEdit]:
    """None as often as not, else some by name, where there are names, or by vector."""
    if dice.chance(0.5):
        return []
    return [_edit(model, dice) for _ in range(dice.size(MOST_EDITS))]


def _edit(model: Model, dice: Dice) -> AttributeEdit:
    strength = dice.generator.uniform(-2.0, 2.0) if dice.chance(0.5) else None
    if model.attributes and dice.chance(0.7):
        return AttributeEdit(name=dice.pick([attribute.name for attribute in model.attributes]), strength=strength)
    return AttributeEdit(vector=_latent(model, dice), strength=strength)


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
