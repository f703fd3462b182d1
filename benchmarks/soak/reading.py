"""What a reply's message holds, as values of a history."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from benchmarks.soak.history import Finish, Item, Message, Origin
from google.protobuf.message import Message as ProtoMessage

from rhapsode.oip import inference_pb2
from rhapsode.v1 import image_pb2, text_pb2
from rhapsode_server.rpc.inference.reply import FINGERPRINT

_PICTURES = (
    image_pb2.GenerateImagesResponse,
    image_pb2.StreamImagesResponse,
    image_pb2.DecodeLatentsResponse,
    image_pb2.EditImagesResponse,
    image_pb2.TransformImagesResponse,
)
_WHO = ("model", "version", "fingerprint")


class Reader:
    """Reads the messages of one reply; keeps hashes of the texts so far, which come in pieces."""

    def __init__(self) -> None:
        self._texts: dict[int, hashlib._Hash] = {}

    def read(self, message: ProtoMessage, at: float) -> Message:
        """Take the next message."""
        if isinstance(message, text_pb2.StreamTextResponse):
            return self._text(message.chunks, message.finished, at, _origin(message))
        if isinstance(message, text_pb2.GenerateTextResponse):
            return self._text(message.candidates, message.finished, at, _origin(message))
        if isinstance(message, image_pb2.InterpolateImagesResponse):
            return Message(at, (_picture(message.image),), origin=_origin(message))
        if isinstance(message, _PICTURES):
            return Message(at, tuple(_picture(image) for image in message.images), origin=_origin(message))
        if isinstance(message, inference_pb2.ModelInferResponse):
            return Message(at, tuple(_tensors(message)), origin=_ran(message))
        return Message(at, (Item(0, 0, _digest(_body(message))),), origin=_origin(message))

    def _text(
        self,
        chunks: Iterable[text_pb2.TextChunk],
        ends: Iterable[text_pb2.TextFinished],
        at: float,
        origin: Origin | None,
    ) -> Message:
        items = []
        for chunk in chunks:
            self._texts.setdefault(chunk.candidate, hashlib.sha256()).update(chunk.text.encode())
            if not chunk.echoed:
                numbered = enumerate(chunk.token_ids, chunk.first_token_index)
                items += [Item(chunk.candidate, index, str(token)) for index, token in numbered]
        finished = []
        for end in ends:
            text = self._texts.get(end.candidate, hashlib.sha256()).hexdigest()[:16]
            finished.append(Finish(end.candidate, f"{end.reason} {end.usage.generated_token_count} {text}"))
        return Message(at, tuple(items), tuple(finished), origin)


class _Told(Protocol):
    """What a reply says of who answered: in its first part, or among its own fields."""

    model: str
    version: int
    fingerprint: str


def _origin(message: ProtoMessage) -> Origin | None:
    fields = message.DESCRIPTOR.fields_by_name
    if "started" in fields:
        if not message.HasField("started"):
            return None
        started: _Told = getattr(message, "started")  # noqa: B009  # no type has it in common
        return Origin(started.model, started.version, started.fingerprint)
    if "version" not in fields:
        return None
    told: Any = message
    return Origin(told.model, told.version, told.fingerprint if "fingerprint" in fields else "")


def _body(message: ProtoMessage) -> bytes:
    """The message without who answered, who is noted by himself."""
    body = type(message)()
    body.CopyFrom(message)
    for field in _WHO:
        if field in message.DESCRIPTOR.fields_by_name:
            body.ClearField(field)
    return body.SerializeToString(deterministic=True)


def _ran(message: inference_pb2.ModelInferResponse) -> Origin:
    name, _, _ = message.model_name.rpartition(".")  # of a bundle; its graph stands behind
    return Origin(name, int(message.model_version), message.parameters[FINGERPRINT].string_param)


def _tensors(message: inference_pb2.ModelInferResponse) -> Iterator[Item]:
    return (Item(0, index, _digest(data)) for index, data in enumerate(message.raw_output_contents))


def _picture(image: image_pb2.Image) -> Item:
    return Item(0, image.index, _digest(image.data))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
