"""One request of the fuzzer, made of its number alone and of the models that a server has."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Literal

from benchmarks.fuzz.credentials import AUTHORIZATION, Credential, credential
from benchmarks.fuzz.examples import Corpus
from benchmarks.fuzz.metadata import strange
from benchmarks.fuzz.methods import Method, methods
from benchmarks.fuzz.pictures import payload, picture
from benchmarks.fuzz.spoil import spoilt_message
from benchmarks.fuzz.wild import wild
from google.protobuf.message import Message

from rhapsode.v1.image_pb2 import (
    IMAGE_FORMAT_JPEG,
    IMAGE_FORMAT_PNG,
    IMAGE_FORMAT_UNSPECIFIED,
    IMAGE_FORMAT_WEBP,
    CompressedImage,
    InputImage,
)

Kind = Literal["sound", "fields", "bytes", "pictures", "path"]
_KINDS: Sequence[Kind] = ("sound", "fields", "bytes", "pictures", "path")
_SHARES = (5, 55, 18, 21, 1)
_PATHS = ("/rhapsode.v1.TextService/Nothing", "/nobody.v1.Service/Nothing", "/", "/x", "/rhapsode.v1.TextService/")
_OURS = 6  # times as many requests to a method of ours as to one of health or reflection
_FORMATS = (*[IMAGE_FORMAT_UNSPECIFIED] * 4, IMAGE_FORMAT_PNG, IMAGE_FORMAT_WEBP, IMAGE_FORMAT_JPEG)
TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """A request: what is sent to which method, and how long its sender waits."""

    number: int
    kind: Kind
    method: Method
    messages: Sequence[bytes]
    timeout: float
    metadata: Sequence[tuple[str, str | bytes]] = ()
    credential: Credential | None = None
    """What it shows, part of the metadata, to a server that controls access."""

    @property
    def hex(self) -> str:
        """The bytes, to be sent again by hand; no more than can be looked at."""
        return " | ".join(message[:65_536].hex() for message in self.messages)


def case(number: int, corpus: Corpus) -> Case:
    """The request with this number."""
    random = Random(number)
    method = random.choice(_methods())
    (kind,) = random.choices(_KINDS, _SHARES)
    count = random.randint(1, 3) if method.asks_many else 1
    names = tuple(model.name for model in corpus.models) or ("none",)
    messages = [_message(kind, corpus.example(method, random), corpus, random, names) for _ in range(count)]
    if kind == "path":
        method = replace(method, path=random.choice(_PATHS))
    timeout = random.uniform(0.001, 0.05) if random.random() < 0.02 else TIMEOUT
    metadata = (strange(random),) if random.random() < 0.1 else ()
    return Case(number, kind, method, messages, timeout, metadata)


def with_credential(asked: Case) -> Case:
    """The same request as a server is sent that has the access file of credentials.py."""
    shown = credential(Random(f"credential of {asked.number}"))
    others = [(key, value) for key, value in asked.metadata if key != AUTHORIZATION]
    return replace(asked, metadata=(*others, *shown.shown), credential=shown)


@cache
def _methods() -> Sequence[Method]:
    return tuple(method for method in methods() for _ in range(_OURS if method.ours else 1))


def _message(kind: Kind, example: Message, corpus: Corpus, random: Random, names: tuple[str, ...]) -> bytes:
    if kind == "bytes":
        return spoilt_message(example, random)
    if kind == "pictures" and _replace_pictures(example, random):
        return example.SerializeToString()
    if kind in ("fields", "pictures"):
        for _ in range(random.choice([1, 1, 1, 2, 3])):
            wild(example, random, names)
        if random.random() < 0.05:  # two members of a oneof, one after the other, and what else contradicts
            other = corpus.example(_method_of(example), random)
            return example.SerializeToString() + other.SerializeToString()
    return example.SerializeToString()


def _method_of(message: Message) -> Method:
    return next(method for method in _methods() if isinstance(message, method.request))


def _replace_pictures(message: Message, random: Random) -> bool:
    """Replace the pictures and payloads of a request by spoilt ones: whether it has any."""
    found = False
    for field, value in message.ListFields():
        for inner in value if field.is_repeated else (value,):
            if isinstance(inner, InputImage):
                inner.data, inner.format, found = picture(random), random.choice(_FORMATS), True
            elif isinstance(inner, CompressedImage):
                inner.payload, found = payload(inner.payload, random), True
            elif isinstance(inner, Message):
                found = _replace_pictures(inner, random) or found
    return found
