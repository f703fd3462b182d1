"""The kinds of requests to models that change: those of a soak, by any reference, some that take several stages."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from benchmarks.soak import kinds as soak
from benchmarks.soak.kinds import RAW, Kind
from google.protobuf.message import Message as ProtoMessage

from rhapsode.oip import inference_pb2
from rhapsode.v1 import image_pb2, text_pb2
from rhapsode_server.rpc.methods import INFERENCE

TEXT, DIGITS, FACES = "shakespeare-rnn", "digits-gan", "faces-vae"
MODELS = (TEXT, DIGITS, FACES)
SUFFIXES = ("", "@1", "@stable", "@canary")
"""How a model is referred to: by its name, by a version that is always there, by its aliases."""
LASTING = "very long stream of text"
"""The one that is not made at once where its reader stands still: its model is replaced meanwhile."""
_LONG = 3_000  # tokens
_IMAGES = "/rhapsode.v1.ImageService"
_WEIGHTS = {"stream of 4 candidates": 2.0}  # less than in a soak: it would take most of two cores
_LEFT_OUT = "long stream of text"  # there are longer ones
_FACE, _LATENT = (16, 16, 3), 64


def kinds(models: Collection[str], suffix: str = "") -> Sequence[Kind]:
    """Those that these models can be asked for, by their names with this suffix."""
    every = [replace(kind, weight=_WEIGHTS.get(kind.name, kind.weight)) for kind in soak.kinds(models)]
    every = [kind for kind in every if kind.name != _LEFT_OUT]
    every += [kind for kind in _own() if kind.model in models]
    return [_referring(kind, suffix) for kind in every]


def _own() -> Sequence[Kind]:
    return (
        Kind(
            LASTING,
            TEXT,
            "/rhapsode.v1.TextService/StreamText",
            True,
            2.0,
            _very_long,
            text_pb2.StreamTextResponse,
            1,
        ),
        Kind(
            "the best digits of many",
            DIGITS,
            f"{_IMAGES}/GenerateImages",
            False,
            6.0,
            _best,
            image_pb2.GenerateImagesResponse,
        ),
        Kind(
            "walk between pictures",
            FACES,
            f"{_IMAGES}/InterpolateImages",
            True,
            6.0,
            _walk,
            image_pb2.InterpolateImagesResponse,
        ),
        Kind(
            "inference of faces",
            FACES,
            f"/{INFERENCE}/ModelInfer",
            False,
            8.0,
            _infer,
            inference_pb2.ModelInferResponse,
        ),
    )


def _very_long(seed: int) -> ProtoMessage:
    stopping = text_pb2.Stopping(max_tokens=_LONG)
    return text_pb2.StreamTextRequest(generation=text_pb2.TextGeneration(seed=seed, stopping=stopping))


def _best(seed: int) -> ProtoMessage:
    """Drawn, judged, drawn again."""
    best = image_pb2.KeepBest(drawn=24)
    return image_pb2.GenerateImagesRequest(
        generation=image_pb2.ImageGeneration(seed=seed, count=4, format=RAW, keep_best=best)
    )


def _walk(seed: int) -> ProtoMessage:
    """Encoded, then drawn."""
    noise = np.random.default_rng(seed).integers(0, 256, (2, *_FACE), np.uint8)
    ends = [
        image_pb2.Keyframe(image=image_pb2.InputImage(data=picture.tobytes(), format=image_pb2.IMAGE_FORMAT_RAW_UINT8))
        for picture in noise
    ]
    return image_pb2.InterpolateImagesRequest(keyframes=ends, frames_per_segment=24, format=RAW)


def _infer(seed: int) -> ProtoMessage:
    latents = np.random.default_rng(seed).standard_normal((2, _LATENT), np.float32)
    tensor = inference_pb2.ModelInferRequest.InferInputTensor(name="latent", datatype="FP32", shape=latents.shape)
    return inference_pb2.ModelInferRequest(
        model_name=f"{FACES}.decode", inputs=[tensor], raw_input_contents=[latents.tobytes()]
    )


def _referring(kind: Kind, suffix: str) -> Kind:
    """The same, by another reference."""
    reference = f"{kind.model}{suffix}"

    def make(seed: int) -> ProtoMessage:
        message: Any = kind.make(seed)
        if isinstance(message, inference_pb2.ModelInferRequest):
            message.model_version = suffix.removeprefix("@")  # a number or an alias
            return message
        part = message.generation if "generation" in message.DESCRIPTOR.fields_by_name else message
        part.model = reference
        return message  # type: ignore[no-any-return]

    return replace(kind, model=reference, make=make)
