"""Random requests that a model can answer, the same for the same seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from rhapsode.v1 import model_pb2
from rhapsode.v1.image_pb2 import (
    CompressImagesRequest,
    DecodeLatentsRequest,
    EditImagesRequest,
    EncodeImagesRequest,
    FitAttributeRequest,
    ImageGeneration,
    InterpolateImagesRequest,
    ScoreImagesRequest,
    TransformImagesRequest,
)
from rhapsode.v1.model_pb2 import Model
from rhapsode.v1.text_pb2 import ClassifyTextRequest, ScoreTextRequest, TextGeneration
from support.dice import Dice
from support.random_pictures import (
    best,
    compression,
    decoding,
    editing,
    encoding,
    fitting,
    judging,
    pictures,
    transformation,
    walk,
)
from support.random_texts import classifying, scoring, text

AskedText: TypeAlias = TextGeneration | ScoreTextRequest | ClassifyTextRequest
AskedImages: TypeAlias = (
    ImageGeneration
    | InterpolateImagesRequest
    | DecodeLatentsRequest
    | EncodeImagesRequest
    | EditImagesRequest
    | FitAttributeRequest
    | ScoreImagesRequest
    | TransformImagesRequest
)
Asked: TypeAlias = AskedText | AskedImages | CompressImagesRequest
Maker: TypeAlias = Callable[[Model, Dice], Asked]

MAKERS: Mapping[int, Sequence[Maker]] = {
    model_pb2.CAPABILITY_GENERATE_TEXT: (text, text, text, scoring),
    model_pb2.CAPABILITY_CLASSIFY_TEXT: (classifying,),
    model_pb2.CAPABILITY_GENERATE_IMAGES: (pictures,),
    model_pb2.CAPABILITY_INTERPOLATE_IMAGES: (walk, decoding),  # both need latents
    model_pb2.CAPABILITY_ENCODE_IMAGES: (encoding,),
    model_pb2.CAPABILITY_EDIT_IMAGES: (editing, fitting),
    model_pb2.CAPABILITY_SCORE_IMAGES: (judging,),
    model_pb2.CAPABILITY_COMPRESS_IMAGES: (compression,),
    model_pb2.CAPABILITY_TRANSFORM_IMAGES: (transformation,),
}


def makers_of(model: Model) -> Sequence[Maker]:
    """What makes requests that the model says it can answer; nothing where no rpc takes its tensors."""
    makers = [maker for capability in model.capabilities for maker in MAKERS.get(capability, ())]
    judged = {model_pb2.CAPABILITY_GENERATE_IMAGES, model_pb2.CAPABILITY_SCORE_IMAGES} <= set(model.capabilities)
    return [*makers, best] if judged else makers


def requests(model: Model, seed: int, count: int) -> Iterator[Asked]:
    """So many requests of all the kinds that the model says it can answer."""
    dice, makers = Dice(seed), makers_of(model)
    for _ in range(count):
        yield dice.pick(makers)(model, dice)
