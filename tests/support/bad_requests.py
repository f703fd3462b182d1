"""Requests that must be refused, and how: a catalogue for the tests of bad input."""

from dataclasses import dataclass
from typing import Any

import grpc

from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode.v1.image_pb2 import ImageClass, InputImage, Keyframe, Latent, Latents, Seeds
from rhapsode.v1.text_pb2 import LogitBias, Sampling, Stopping, TokenIds
from support.requests import images, text

NAN, INF = float("nan"), float("inf")
BAD = grpc.StatusCode.INVALID_ARGUMENT
FACES = "tiny-faces"
WRONG = Latent(values=[0.0] * 7)
RIGHT = Latent(values=[0.0] * 8)


@dataclass(frozen=True)
class Case:
    """A request that is refused, and how: code, reason, path of the field, words of the message."""

    name: str
    request: Any
    field: str = ""
    words: str = ""
    reason: str = "INVALID_FIELD"
    code: grpc.StatusCode = BAD


def text_case(name: str, field: str = "", words: str = "", reason: str = "INVALID_FIELD", **fields: Any) -> Case:
    return Case(name, text(**fields), field, words, reason)


def image_case(name: str, field: str = "", words: str = "", reason: str = "INVALID_FIELD", **fields: Any) -> Case:
    return Case(name, images(**fields), field, words, reason)


def walk_case(name: str, field: str, words: str = "", reason: str = "INVALID_FIELD", **fields: Any) -> Case:
    given = {"model": FACES, "keyframes": [Keyframe(seed=1), Keyframe(seed=2)]} | fields
    return Case(name, image_pb2.InterpolateImagesRequest(**given), field, words, reason)


def sampling_cases() -> list[Case]:
    wrong: dict[str, tuple[Any, ...]] = {
        "temperature": (NAN, INF, -INF, -1.0, 1e30, -1e-45),
        "top_p": (NAN, 0.0, -0.5, 1.5, INF),
        "min_p": (NAN, -0.1, 1.1),
        "repetition_penalty": (NAN, 0.0, 1000.0),
        "presence_penalty": (NAN, 101.0, -INF),
        "frequency_penalty": (NAN, -101.0, INF),
    }
    return [
        text_case(f"{name} {value}", f"generation.sampling.{name}", sampling=Sampling(**{name: value}))
        for name, values in wrong.items()
        for value in values
    ]


COUNTS = [
    image_case("no pictures", "generation.count", "[1, 100000]", count=0),
    image_case("a billion pictures", "generation.count", "[1, 100000]", count=10**9),
    image_case("minus one, as it would be sent", "generation.count", "[1, 100000]", count=2**32 - 1),
    image_case("more than this server streams", "generation.count", "[1, 5000]", count=5001),
    text_case("no candidates", "generation.candidate_count", "[1, 64]", candidate_count=0),
    text_case("65 candidates", "generation.candidate_count", "[1, 64]", candidate_count=65),
    walk_case("one keyframe", "keyframes", "2 to 256 elements", keyframes=[Keyframe(seed=1)]),
    walk_case("no frames", "frames_per_segment", "[1, 1000]", frames_per_segment=0),
    walk_case("a walk too long", "frames_per_segment", "5000", keyframes=[Keyframe()] * 7, frames_per_segment=1000),
]
SIZES = [
    image_case("a reply too large", "generation.count", "StreamImages", "OUTPUT_TOO_LARGE", count=5000),
    text_case(
        "a text too large",
        "generation",
        "StreamText",
        "OUTPUT_TOO_LARGE",
        tokens=2000,
        candidate_count=64,
        logprobs=20,
    ),
    text_case("no tokens", "generation.stopping.max_tokens", "[1, 1000000]", tokens=0),
    text_case("4 billion tokens", "generation.stopping.max_tokens", "[1, 1000000]", tokens=2**32 - 1),
    text_case("more than this server makes", "generation.stopping.max_tokens", "[1, 2000]", tokens=2001),
    text_case("a prompt too long", "generation.text", "at most 500 tokens", text="a" * 501),
    text_case("too many likeliest tokens", "generation.logprobs", "at most 20", logprobs=21),
]
LATENTS = [
    image_case(
        "a short latent",
        "generation.latents.latents[1].values",
        "8",
        count=None,
        latents=Latents(latents=[RIGHT, WRONG]),
    ),
    image_case("no latents", "generation.latents.latents", "1 to 4096", count=None, latents=Latents()),
    *(
        image_case(
            f"a latent with {value}",
            "generation.latents.latents[0].values[5]",
            count=None,
            latents=Latents(latents=[Latent(values=[0, 0, 0, 0, 0, value, NAN, 0])]),
        )
        for value in (NAN, INF, -INF, 1e30)
    ),
    walk_case(
        "a keyframe of NaN",
        "keyframes[1].latent.values[7]",
        "finite",
        keyframes=[Keyframe(seed=1), Keyframe(latent=Latent(values=[0.0] * 7 + [NAN]))],
    ),
    walk_case(
        "a short keyframe", "keyframes[0].latent.values", "8", keyframes=[Keyframe(latent=WRONG), Keyframe(seed=1)]
    ),
    Case("a short latent to decode", image_pb2.DecodeLatentsRequest(model=FACES, latents=[WRONG]), "latents[0].values"),
]
NAMES = [
    *(
        Case(f"the name {name[:20]!r}", text(model=name), "generation.model")
        for name in (
            "",
            "../etc",
            "a/../b",
            "..",
            "a\0b",
            "A",
            "tiny-text@0",
            "tiny-text@",
            "x" * (1 << 20),
            "tiny text",
        )
    ),
    Case("an unknown model", text(model="nobody"), reason="MODEL_NOT_FOUND", code=grpc.StatusCode.NOT_FOUND),
    Case("an unknown version", text(model="tiny-text@2"), reason="MODEL_NOT_FOUND", code=grpc.StatusCode.NOT_FOUND),
    Case(
        "a text of a picture model",
        text(model=FACES),
        reason="UNSUPPORTED",
        code=grpc.StatusCode.FAILED_PRECONDITION,
    ),
    Case(
        "a picture of a text model",
        images(model="tiny-text"),
        reason="UNSUPPORTED",
        code=grpc.StatusCode.FAILED_PRECONDITION,
    ),
    Case(
        "a class of a model without",
        images(image_class=ImageClass(id=0)),
        reason="UNSUPPORTED",
        code=grpc.StatusCode.FAILED_PRECONDITION,
    ),
    Case(
        "an encoding by a model without encoder",
        image_pb2.EncodeImagesRequest(model="tiny-digits", images=[InputImage(data=b"x")]),
        reason="UNSUPPORTED",
        code=grpc.StatusCode.FAILED_PRECONDITION,
    ),
    image_case(
        "an unknown class", "generation.image_class.name", model="tiny-shapes", image_class=ImageClass(name="x")
    ),
    image_case("a class too high", "generation.image_class.id", "3", model="tiny-shapes", image_class=ImageClass(id=3)),
    image_case("an empty class", "generation.image_class", model="tiny-shapes", image_class=ImageClass()),
]
TOKENS = [
    text_case("an emoji", "generation.text", "index 1", "UNKNOWN_TOKEN", text="a🙂b"),
    text_case("an unknown character far behind", "generation.text", "index 499", "UNKNOWN_TOKEN", text="a" * 499 + "Ω"),
    text_case(
        "a received id too high behind good ones",
        "generation.received_token_ids",
        "index 2",
        "UNKNOWN_TOKEN",
        received_token_ids=[1, 2, 2**32 - 1],
    ),
    text_case("an upper-case letter", "generation.text", "index 0", "UNKNOWN_TOKEN", text="Abc"),
    text_case(
        "an id too high", "generation.token_ids.ids", "index 2", "UNKNOWN_TOKEN", token_ids=TokenIds(ids=[1, 2, 30])
    ),
    text_case(
        "a received id too high",
        "generation.received_token_ids",
        "index 0",
        "UNKNOWN_TOKEN",
        received_token_ids=[30],
    ),
    text_case(
        "a bias of no token",
        "generation.sampling.logit_bias[0].token_id",
        "30",
        sampling=Sampling(logit_bias=[LogitBias(token_id=30)]),
    ),
    text_case(
        "a bias twice",
        "generation.sampling.logit_bias[1].token_id",
        "twice",
        sampling=Sampling(logit_bias=[LogitBias(token_id=3), LogitBias(token_id=3, bias=1)]),
    ),
    text_case(
        "an infinite bias",
        "generation.sampling.logit_bias[0].bias",
        "finite",
        sampling=Sampling(logit_bias=[LogitBias(token_id=3, bias=INF)]),
    ),
]
NOTHING = [
    text_case("an empty prompt without start token", "generation.prompt", "start token", model="no-start", text=""),
    Case("no generation", text_pb2.GenerateTextRequest(), "generation", "must be set"),
    Case("no pictures to encode", image_pb2.EncodeImagesRequest(model=FACES), "images", "1 to 256"),
    Case("no latents to decode", image_pb2.DecodeLatentsRequest(model=FACES), "latents", "1 to 4096"),
    Case("an empty picture", image_pb2.EncodeImagesRequest(model=FACES, images=[InputImage()]), "images[0].data"),
    walk_case("an empty keyframe", "keyframes[1]", "must have", keyframes=[Keyframe(seed=1), Keyframe()]),
    Case("no model", model_pb2.GetModelRequest(), "model", "must be set"),
    text_case(
        "an empty stop sequence",
        "generation.stopping.stop_sequences[1]",
        "empty",
        stopping=Stopping(max_tokens=9, stop_sequences=["a", ""]),
    ),
    text_case(
        "10,000 stop sequences",
        "generation.stopping.stop_sequences",
        "0 to 16 elements",
        stopping=Stopping(max_tokens=9, stop_sequences=["ab"] * 10_000),
    ),
    text_case(
        "a million received tokens of a few",
        "generation.received_token_ids",
        "at most 24",
        received_token_ids=[1] * 1_000_000,
    ),
    text_case(
        "a long stop sequence",
        "generation.stopping.stop_sequences[0]",
        "256 bytes",
        stopping=Stopping(max_tokens=9, stop_sequences=["é" * 129]),
    ),
]
CONTRADICTIONS = [
    image_case("3 pictures of 2 seeds", "generation.count", "2", count=3, seeds=Seeds(seeds=[1, 2])),
    image_case("2 pictures of 1 latent", "generation.count", "1", count=2, latents=Latents(latents=[RIGHT])),
    image_case("seeds and a first index", "generation.first_index", count=None, seeds=Seeds(seeds=[1]), first_index=4),
    image_case(
        "latents without a class",
        "generation.image_class",
        count=None,
        model="tiny-shapes",
        latents=Latents(latents=[RIGHT]),
    ),
    text_case(
        "received tokens without a seed", "generation.received_token_ids", "seed", seed=None, received_token_ids=[1]
    ),
    text_case(
        "received tokens of 2 candidates",
        "generation.received_token_ids",
        "candidate",
        candidate_count=2,
        received_token_ids=[1],
    ),
    text_case("more received than wanted", "generation.received_token_ids", "24", received_token_ids=[1] * 25),
    image_case("an unknown format", "generation.format", "enum", format=77),
    walk_case("an unknown way", "method", "enum", method=9),
    walk_case("a walk without a class", "image_class", "must be set", model="tiny-shapes"),
]
PICTURES = [
    Case(
        f"a picture that is {name}",
        image_pb2.EncodeImagesRequest(model=FACES, images=[InputImage(data=data, format=form)]),
        "images[0].data",
    )
    for name, data, form in (
        ("no file", b"not a picture", image_pb2.IMAGE_FORMAT_UNSPECIFIED),
        ("no PNG", b"GIF89a" + bytes(50), image_pb2.IMAGE_FORMAT_PNG),
        ("a truncated PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(8), image_pb2.IMAGE_FORMAT_UNSPECIFIED),
        ("too few raw bytes", bytes(191), image_pb2.IMAGE_FORMAT_RAW_UINT8),
        ("raw NaN", b"\x00\x00\xc0\x7f" * 192, image_pb2.IMAGE_FORMAT_RAW_FLOAT32),
        ("raw values far out of range", b"\xca\xf2\x49\x71" * 192, image_pb2.IMAGE_FORMAT_RAW_FLOAT32),
    )
]
ALL = [*COUNTS, *SIZES, *sampling_cases(), *LATENTS, *NAMES, *TOKENS, *NOTHING, *CONTRADICTIONS, *PICTURES]
