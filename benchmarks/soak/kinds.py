"""The kinds of requests of a soak: one for each way in which the shipped models are used, and its share of the load."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import Message as ProtoMessage

from rhapsode.v1 import image_pb2, text_pb2

RAW = image_pb2.IMAGE_FORMAT_RAW_FLOAT32
TOKENS = 96
_TEXT, _IMAGES = "rhapsode.v1.TextService", "rhapsode.v1.ImageService"


@dataclass(frozen=True, slots=True)
class Kind:
    """A method, and the request that a seed makes for it."""

    name: str
    model: str
    method: str
    """As it stands on the wire: /service/method."""
    streams: bool
    weight: float
    make: Callable[[int], ProtoMessage]
    reply: type[ProtoMessage]
    lanes: int = 0
    """Candidates, each of which must be said to have ended."""


def kinds(models: Collection[str]) -> Sequence[Kind]:
    """Those that these models can be asked for."""
    return [kind for kind in (*_texts(), *_readings(), *_pictures(), *_workings()) if kind.model in models]


def _texts() -> Sequence[Kind]:
    def stream(name: str, model: str, weight: float, candidates: int = 1, tokens: int = TOKENS) -> Kind:
        def make(seed: int) -> ProtoMessage:
            return text_pb2.StreamTextRequest(generation=_generation(model, seed, candidates, tokens))

        return Kind(name, model, f"/{_TEXT}/StreamText", True, weight, make, text_pb2.StreamTextResponse, candidates)

    def unary(name: str, model: str, weight: float) -> Kind:
        def make(seed: int) -> ProtoMessage:
            return text_pb2.GenerateTextRequest(generation=_generation(model, seed, 1, TOKENS))

        return Kind(name, model, f"/{_TEXT}/GenerateText", False, weight, make, text_pb2.GenerateTextResponse, 1)

    return (
        stream("stream of text", "shakespeare-rnn", 20),
        stream("stream of 4 candidates", "shakespeare-rnn", 5, candidates=4),
        stream("stream of text, int8", "shakespeare-rnn-int8", 5),
        stream("long stream of text", "shakespeare-rnn", 1, tokens=2000),
        stream("stream of a tune", "fiddle-rnn", 5),
        unary("text", "shakespeare-rnn", 15),
        unary("names", "names-rnn", 5),
        unary("molecules", "molecules-rnn", 5),
        unary("text of an n-gram", "shakespeare-ngram", 3),
        unary("headlines", "headlines-rnn", 3),
    )


def _generation(model: str, seed: int, candidates: int, tokens: int) -> text_pb2.TextGeneration:
    stopping = text_pb2.Stopping(max_tokens=tokens)
    return text_pb2.TextGeneration(model=model, seed=seed, candidate_count=candidates, stopping=stopping)


def _readings() -> Sequence[Kind]:
    def words(seed: int) -> str:
        return " ".join(np.random.default_rng(seed).choice(["the", "king", "will", "not", "speak", "again"], 12))

    def score(seed: int) -> ProtoMessage:
        inputs = [text_pb2.ScoreInput(text=words(seed))]
        return text_pb2.ScoreTextRequest(model="shakespeare-rnn", inputs=inputs, top_logprobs=3)

    def classify(seed: int) -> ProtoMessage:
        return text_pb2.ClassifyTextRequest(model="headlines-critic", inputs=[text_pb2.ScoreInput(text=words(seed))])

    def tokenize(seed: int) -> ProtoMessage:
        return text_pb2.TokenizeTextRequest(
            model="shakespeare-rnn", inputs=[text_pb2.TokenizeInput(text=words(seed)[:40])]
        )

    return (
        Kind("score of a text", "shakespeare-rnn", f"/{_TEXT}/ScoreText", False, 4, score, text_pb2.ScoreTextResponse),
        Kind(
            "class of a text",
            "headlines-critic",
            f"/{_TEXT}/ClassifyText",
            False,
            3,
            classify,
            text_pb2.ClassifyTextResponse,
        ),
        Kind(
            "tokens of a text",
            "shakespeare-rnn",
            f"/{_TEXT}/TokenizeText",
            False,
            2,
            tokenize,
            text_pb2.TokenizeTextResponse,
        ),
    )


def _pictures() -> Sequence[Kind]:
    def unary(name: str, model: str, weight: float, count: int) -> Kind:
        def make(seed: int) -> ProtoMessage:
            return image_pb2.GenerateImagesRequest(generation=_drawing(model, seed, count))

        return Kind(name, model, f"/{_IMAGES}/GenerateImages", False, weight, make, image_pb2.GenerateImagesResponse)

    def stream(name: str, model: str, weight: float, count: int) -> Kind:
        def make(seed: int) -> ProtoMessage:
            return image_pb2.StreamImagesRequest(generation=_drawing(model, seed, count))

        return Kind(name, model, f"/{_IMAGES}/StreamImages", True, weight, make, image_pb2.StreamImagesResponse)

    return (
        unary("digits", "digits-gan", 10, 8),
        unary("fashion", "fashion-gan", 3, 4),
        stream("stream of digits", "digits-gan", 5, 64),
        stream("diffusion", "digits-diffusion", 2, 2),
        stream("chains", "digits-rbm", 2, 2),
    )


def _drawing(model: str, seed: int, count: int) -> image_pb2.ImageGeneration:
    drawing = image_pb2.ImageGeneration(model=model, seed=seed, count=count, format=RAW)
    if model == "digits-diffusion":
        drawing.diffusion.steps = 8
    if model == "digits-rbm":
        drawing.gibbs.steps = 20
    return drawing


def _workings() -> Sequence[Kind]:
    def kind(method: str, model: str, name: str, weight: float, make: Callable[[int], ProtoMessage]) -> Kind:
        streams = method in ("InterpolateImages", "EditImages", "DecodeLatents")
        reply: type[ProtoMessage] = getattr(image_pb2, f"{method}Response")
        return Kind(name, model, f"/{_IMAGES}/{method}", streams, weight, make, reply)

    def walk(seed: int) -> ProtoMessage:
        ends = [image_pb2.Keyframe(seed=seed), image_pb2.Keyframe(seed=seed + 1)]
        return image_pb2.InterpolateImagesRequest(
            model="faces-vae", keyframes=ends, frames_per_segment=12, format=image_pb2.IMAGE_FORMAT_RAW_UINT8
        )

    def edit(seed: int) -> ProtoMessage:
        edits = [image_pb2.AttributeEdit(name="glasses"), image_pb2.AttributeEdit(name="hat", strength=0.5)]
        sources = [image_pb2.Keyframe(seed=seed)]
        return image_pb2.EditImagesRequest(model="faces-vae", sources=sources, edits=edits, format=RAW)

    def decode(seed: int) -> ProtoMessage:
        values = np.random.default_rng(seed).normal(size=(3, 48)).astype(np.float32)
        latents = [image_pb2.Latent(values=row) for row in values.tolist()]
        return image_pb2.DecodeLatentsRequest(model="shapes-vae", latents=latents, format=RAW)

    def encode(seed: int) -> ProtoMessage:
        return image_pb2.EncodeImagesRequest(model="shapes-vae", images=_noise(seed, 32, 3))

    def compress(seed: int) -> ProtoMessage:
        return image_pb2.CompressImagesRequest(model="faces-codec", images=_noise(seed, 16, 3))

    def score(seed: int) -> ProtoMessage:
        return image_pb2.ScoreImagesRequest(model="digits-critic", images=_noise(seed, 28, 1))

    def restore(seed: int) -> ProtoMessage:
        return image_pb2.TransformImagesRequest(model="digits-restore", images=_noise(seed, 28, 1), format=RAW)

    return (
        kind("InterpolateImages", "faces-vae", "walk between faces", 5, walk),
        kind("EditImages", "faces-vae", "edit of a face", 5, edit),
        kind("DecodeLatents", "shapes-vae", "shapes of latents", 3, decode),
        kind("EncodeImages", "shapes-vae", "latents of shapes", 3, encode),
        kind("CompressImages", "faces-codec", "compressed faces", 3, compress),
        kind("ScoreImages", "digits-critic", "scores of digits", 3, score),
        kind("TransformImages", "digits-restore", "restored digits", 3, restore),
    )


def _noise(seed: int, side: int, channels: int) -> Sequence[image_pb2.InputImage]:
    """Two pictures of nothing."""
    generator = np.random.default_rng(seed)
    return [
        image_pb2.InputImage(data=generator.bytes(side * side * channels), format=image_pb2.IMAGE_FORMAT_RAW_UINT8)
        for _ in range(2)
    ]
