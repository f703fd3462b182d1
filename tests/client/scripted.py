"""A real gRPC server whose streams break where a test says, and whose answers follow from seed and position alone."""

import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeVar

import grpc

from rhapsode.v1 import image_pb2, text_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceServicer, add_ImageServiceServicer_to_server
from rhapsode.v1.text_pb2_grpc import TextServiceServicer, add_TextServiceServicer_to_server

MessageT = TypeVar("MessageT")
DRAWN_SEED = 77
FINGERPRINT = "f1"
MAX_TOKENS = 40


@dataclass(frozen=True)
class Break:
    """The end of one attempt after so many messages: with a status and metadata, or (no status) only when the
    connection goes, which `Script.hanging` tells."""

    after: int
    code: grpc.StatusCode | None = grpc.StatusCode.UNAVAILABLE
    details: str = "scripted"
    metadata: tuple[tuple[str, str | bytes], ...] = ()


@dataclass
class Script:
    """How each attempt breaks, in order; later ones are whole. Keeps the requests that came; says when an attempt
    without a status hangs, and when it has ended."""

    breaks: Sequence[Break] = ()
    fingerprints: Sequence[str] = ()
    requests: list[object] = field(default_factory=list)
    hanging: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def begin(self, request: object) -> tuple[Break | None, str]:
        """Note an attempt; its break and its fingerprint."""
        attempt = len(self.requests)
        self.requests.append(request)
        fingerprint = self.fingerprints[attempt] if attempt < len(self.fingerprints) else FINGERPRINT
        return (self.breaks[attempt] if attempt < len(self.breaks) else None), fingerprint


def token(seed: int, candidate: int, index: int) -> int:
    """The token that the pretended model draws."""
    return (seed * 7 + candidate * 5 + index * index) % 26


def letters(ids: Sequence[int]) -> str:
    """The text of tokens."""
    return "".join(chr(ord("a") + identity) for identity in ids)


def whole(seed: int, tokens: int, candidate: int = 0) -> str:
    """The text that a request with this seed gives when nothing breaks."""
    return letters([token(seed, candidate, index) for index in range(tokens)])


def text_messages(asked: text_pb2.TextGeneration, fingerprint: str) -> Iterator[text_pb2.StreamTextResponse]:
    """The whole answer, one token of every candidate a message."""
    seed = asked.seed if asked.HasField("seed") else DRAWN_SEED
    candidates = range(asked.candidate_count or 1)
    last = asked.stopping.max_tokens or MAX_TOKENS
    first = text_pb2.StreamTextResponse(
        started=text_pb2.TextStarted(seed=seed, model="m", version=1, fingerprint=fingerprint)
    )
    if asked.echo and not asked.received_token_ids:
        first.chunks.extend(text_pb2.TextChunk(candidate=c, text=asked.text, echoed=True) for c in candidates)
    yield first
    for index in range(len(asked.received_token_ids), last):
        message = text_pb2.StreamTextResponse()
        for candidate in candidates:
            ids = [token(seed, candidate, index)]
            message.chunks.add(candidate=candidate, text=letters(ids), token_ids=ids, first_token_index=index)
        yield message
    end = text_pb2.StreamTextResponse()
    for candidate in candidates:
        usage = text_pb2.TextUsage(generated_token_count=last - len(asked.received_token_ids))
        end.finished.add(candidate=candidate, reason=text_pb2.FINISH_REASON_MAX_TOKENS, usage=usage)
    yield end


def picture(content: str, index: int) -> image_pb2.Image:
    """A picture of one pixel whose bytes say what was asked for."""
    return image_pb2.Image(index=index, format=image_pb2.IMAGE_FORMAT_PNG, width=1, height=1, data=content.encode())


class ScriptedText(TextServiceServicer):
    """TextService, as the script says."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def GenerateText(  # noqa: N802
        self, request: text_pb2.GenerateTextRequest, context: grpc.ServicerContext
    ) -> text_pb2.GenerateTextResponse:
        broken, fingerprint = self._script.begin(request)
        if broken is not None:
            fail(broken, context, self._script)
        messages = list(text_messages(request.generation, fingerprint))
        reply = text_pb2.GenerateTextResponse(started=messages[0].started, finished=messages[-1].finished)
        ids = [identity for message in messages for chunk in message.chunks for identity in chunk.token_ids]
        reply.candidates.add(text=letters(ids), token_ids=ids)
        return reply

    def ScoreText(  # noqa: N802
        self, request: text_pb2.ScoreTextRequest, context: grpc.ServicerContext
    ) -> text_pb2.ScoreTextResponse:
        broken, fingerprint = self._script.begin(request)
        if broken is not None:
            fail(broken, context, self._script)
        scores = [text_pb2.TextScore(scored_character_count=len(given.text)) for given in request.inputs]
        return text_pb2.ScoreTextResponse(model="m", version=1, fingerprint=fingerprint, scores=scores)

    def ClassifyText(  # noqa: N802
        self, request: text_pb2.ClassifyTextRequest, context: grpc.ServicerContext
    ) -> text_pb2.ClassifyTextResponse:
        broken, fingerprint = self._script.begin(request)
        if broken is not None:
            fail(broken, context, self._script)
        found = [text_pb2.TextClassification(token_count=len(given.text)) for given in request.inputs]
        return text_pb2.ClassifyTextResponse(model="m", version=1, fingerprint=fingerprint, classifications=found)

    def TokenizeText(  # noqa: N802
        self, request: text_pb2.TokenizeTextRequest, context: grpc.ServicerContext
    ) -> text_pb2.TokenizeTextResponse:
        broken, _ = self._script.begin(request)
        if broken is not None:
            fail(broken, context, self._script)
        tokenized = [text_pb2.TokenizedText(text=given.text) for given in request.inputs]
        return text_pb2.TokenizeTextResponse(model="m", version=1, tokenized=tokenized)

    def StreamText(  # noqa: N802
        self, request: text_pb2.StreamTextRequest, context: grpc.ServicerContext
    ) -> Iterator[text_pb2.StreamTextResponse]:
        broken, fingerprint = self._script.begin(request)
        yield from play(text_messages(request.generation, fingerprint), broken, context, self._script)


class ScriptedImages(ImageServiceServicer):
    """The streams of ImageService, as the script says."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def StreamImages(  # noqa: N802
        self, request: image_pb2.StreamImagesRequest, context: grpc.ServicerContext
    ) -> Iterator[image_pb2.StreamImagesResponse]:
        broken, fingerprint = self._script.begin(request)
        asked = request.generation
        if asked.WhichOneof("source") == "seeds":
            pictures = [picture(f"{seed}:0", index) for index, seed in enumerate(asked.seeds.seeds)]
        else:
            seed = asked.seed if asked.HasField("seed") else DRAWN_SEED
            rows = range(asked.first_index, asked.first_index + (asked.count or 1))
            pictures = [picture(f"{seed}:{row}", row) for row in rows]
        start = image_pb2.ImagesStarted(model="m", version=1, fingerprint=fingerprint, count=len(pictures))
        if asked.WhichOneof("source") != "seeds":
            start.seed = asked.seed if asked.HasField("seed") else DRAWN_SEED
        messages = [image_pb2.StreamImagesResponse(images=[image]) for image in pictures]
        messages[0].started.CopyFrom(start)
        yield from play(messages, broken, context, self._script)

    def DecodeLatents(  # noqa: N802
        self, request: image_pb2.DecodeLatentsRequest, context: grpc.ServicerContext
    ) -> Iterator[image_pb2.DecodeLatentsResponse]:
        broken, fingerprint = self._script.begin(request)
        pictures = [picture(str(list(latent.values)), index) for index, latent in enumerate(request.latents)]
        messages = [image_pb2.DecodeLatentsResponse(images=[image]) for image in pictures]
        messages[0].started.CopyFrom(
            image_pb2.ImagesStarted(model="m", version=1, fingerprint=fingerprint, count=len(pictures))
        )
        yield from play(messages, broken, context, self._script)

    def EditImages(  # noqa: N802
        self, request: image_pb2.EditImagesRequest, context: grpc.ServicerContext
    ) -> Iterator[image_pb2.EditImagesResponse]:
        broken, fingerprint = self._script.begin(request)
        messages = [
            image_pb2.EditImagesResponse(images=[picture(f"{one.seed}{[edit.name for edit in one.edits]}", index)])
            for index, one in enumerate(request.sources)
        ]
        messages[0].started.CopyFrom(image_pb2.ImagesStarted(fingerprint=fingerprint, count=len(messages)))
        yield from play(messages, broken, context, self._script)

    def InterpolateImages(  # noqa: N802
        self, request: image_pb2.InterpolateImagesRequest, context: grpc.ServicerContext
    ) -> Iterator[image_pb2.InterpolateImagesResponse]:
        broken, fingerprint = self._script.begin(request)
        count = request.frames_per_segment * (len(request.keyframes) - 1) + 1
        messages = [image_pb2.InterpolateImagesResponse(image=picture(str(i), i)) for i in range(count)]
        messages[0].started.CopyFrom(
            image_pb2.ImagesStarted(model="m", version=1, fingerprint=fingerprint, count=count)
        )
        yield from play(messages, broken, context, self._script)

    def GenerateImages(self, request: object, context: grpc.ServicerContext) -> NoReturn:  # noqa: N802
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "not scripted")
        raise AssertionError

    EncodeImages = ScoreImages = FitAttribute = GenerateImages
    CompressImages = DecompressImages = TransformImages = GenerateImages


def play(
    messages: Iterable[MessageT], broken: Break | None, context: grpc.ServicerContext, script: Script
) -> Iterator[MessageT]:
    """The messages, up to where the attempt breaks."""
    for count, message in enumerate(messages):
        if broken is not None and count == broken.after:
            fail(broken, context, script)
        yield message
    if broken is not None:
        fail(broken, context, script)


def fail(broken: Break, context: grpc.ServicerContext, script: Script) -> NoReturn:
    """End the attempt: with its status, or, having none, when the other side or the connection goes."""
    if broken.code is None:
        gone = threading.Event()
        if context.add_callback(gone.set):
            script.hanging.set()
            gone.wait()
        script.ended.set()
        context.abort(grpc.StatusCode.CANCELLED, "gone")
    context.set_trailing_metadata(broken.metadata)
    context.abort(broken.code, broken.details)
    raise AssertionError


@contextmanager
def serving(script: Script, socket: Path) -> Iterator[str]:
    """A server for the script; gives its address. At the end all of its calls are ended."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=[("grpc.so_reuseport", 0)])
    add_TextServiceServicer_to_server(ScriptedText(script), server)
    add_ImageServiceServicer_to_server(ScriptedImages(script), server)
    address = f"unix:{socket}"
    server.add_insecure_port(address)
    server.start()
    try:
        yield address
    finally:
        server.stop(None).wait()


@contextmanager
def short_folder() -> Iterator[Path]:
    """A temporary folder whose path is short enough for a socket's."""
    with tempfile.TemporaryDirectory(prefix="rh") as folder:
        yield Path(folder)
