"""Requests around critics that must be refused, and how: pictures to judge, the best of many, truncation."""

import io
import struct
import zlib
from typing import Any

import grpc
import numpy as np
from PIL import Image

from rhapsode.v1 import image_pb2
from rhapsode.v1.image_pb2 import ImageClass, InputImage, KeepBest, Latents, ScoreImagesRequest, Seeds
from support.bad_requests import FACES, INF, NAN, RIGHT, Case, image_case

JUDGE, DIGITS, SHAPES = "tiny-judge", "tiny-digits", "tiny-shapes"
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


def unsupported(name: str, request: object) -> Case:
    return Case(name, request, reason="UNSUPPORTED", code=PRECONDITION)


def best_case(name: str, field: str, words: str, best: KeepBest, **fields: Any) -> Case:
    given: dict[str, Any] = {"model": DIGITS, "keep_best": best} | fields
    return image_case(name, f"generation.{field}", words, **given)


def large_png() -> bytes:
    """A sound PNG of 100 megapixels in some kilobytes: 10,000 × 10,000 white pixels of one bit."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\xff" * 1250) * 10_000)
    header = struct.pack(">IIBBBBB", 10_000, 10_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def truncated_jpeg() -> bytes:
    """The first half of a sound JPEG."""
    file = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()[: len(file.getvalue()) // 2]


SOUND = InputImage(data=bytes(192), format=image_pb2.IMAGE_FORMAT_RAW_UINT8)
PICTURES = [
    Case("no pictures to judge", ScoreImagesRequest(model=JUDGE), "images", "1 to 256"),
    *(
        Case(f"a picture to judge that is {name}", ScoreImagesRequest(model=JUDGE, images=[SOUND, bad]), field, words)
        for name, bad, field, words in (
            ("empty", InputImage(), "images[1].data", "1 to 16777216"),
            ("100 megapixels large", InputImage(data=large_png()), "images[1].data", "must"),
            ("a truncated JPEG", InputImage(data=truncated_jpeg()), "images[1].data", "can be read"),
            (
                "raw NaN",
                InputImage(data=b"\0\0\xc0\x7f" * 192, format=image_pb2.IMAGE_FORMAT_RAW_FLOAT32),
                "images[1].data",
                "finite",
            ),
        )
    ),
    unsupported("a judgement by a text model", ScoreImagesRequest(model="tiny-text", images=[InputImage(data=b"x")])),
    unsupported(
        "a judgement by a generator without critic", ScoreImagesRequest(model=SHAPES, images=[InputImage(data=b"x")])
    ),
]
BEST = [
    best_case("the best of none", "keep_best.drawn", "must be set", KeepBest(drawn=0)),
    best_case("the best of a million", "keep_best.drawn", "[1, 4096]", KeepBest(drawn=10**6)),
    best_case("the best 5 of 4", "keep_best.drawn", "at least first_index + count, 5", KeepBest(drawn=4), count=5),
    best_case("ranks beyond the last", "keep_best.drawn", "5, not 4", KeepBest(drawn=4), count=2, first_index=3),
    best_case("the best by the name ..", "keep_best.critic", "must match", KeepBest(drawn=9, critic="..")),
    best_case("the best of seeds", "keep_best", "beside seeds", KeepBest(drawn=9), count=None, seeds=Seeds(seeds=[1])),
    best_case(
        "the best of latents",
        "keep_best",
        "beside latents",
        KeepBest(drawn=9),
        count=None,
        latents=Latents(latents=[RIGHT]),
    ),
    best_case("a critic of another shape", "keep_best.critic", "8 × 8 × 1", KeepBest(drawn=9, critic=JUDGE)),
    Case(
        "the best by a critic that is not there",
        image_pb2.ImageGeneration(model=DIGITS, keep_best=KeepBest(drawn=9, critic="nobody")),
        reason="MODEL_NOT_FOUND",
        code=grpc.StatusCode.NOT_FOUND,
    ),
    unsupported("the best without a critic", image_pb2.ImageGeneration(model=FACES, keep_best=KeepBest(drawn=9))),
    unsupported(
        "the best by a model without critic",
        image_pb2.ImageGeneration(model=DIGITS, keep_best=KeepBest(drawn=9, critic=FACES)),
    ),
    unsupported(
        "a class of the best of a model without",
        image_pb2.ImageGeneration(model=DIGITS, image_class=ImageClass(id=0), keep_best=KeepBest(drawn=9)),
    ),
]
TRUNCATIONS = [
    *(
        image_case(f"a truncation of {value}", "generation.truncation", words, truncation=value)
        for value, words in ((NAN, "finite"), (INF, "finite"), (0.0, "(0, 1]"), (-1.0, "(0, 1]"), (2.0, "(0, 1]"))
    ),
    image_case(
        "a truncation of latents", "generation.truncation", count=None, latents=Latents(latents=[RIGHT]), truncation=0.5
    ),
]
JUDGEMENTS = [*PICTURES, *BEST, *TRUNCATIONS]
