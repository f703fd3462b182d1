"""A stream that breaks at one replica goes on at another, where that one promises the same bytes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rhapsode_client import Client, ImageFormat, ResumeMismatch
from rhapsode_client.streams import ImageStream, TextStream
from support import bundles
from support.server import Process, process
from support.tally import started_calls

STREAMS, TOKENS = 4, 3000
PICTURES = 30_000  # of 768 bytes: an unread stream stops long before its end
SLOWLY = ("--run-steps", "1")


@dataclass(frozen=True)
class Replicas:
    """Two servers, and a client to which they are one."""

    servers: tuple[Process, Process]
    client: Client

    def kill_the_busier(self, method: str) -> Process:
        """Kill the server that was asked for more streams; the other one."""
        busier, other = sorted(self.servers, key=lambda server: started_calls(server, method), reverse=True)
        busier.process.kill()
        busier.process.wait()
        return other

    def texts(self) -> list[TextStream]:
        """Streams that are under way, a seed for each."""
        streams = [self.client.stream_text("tiny-text", seed=seed, max_tokens=TOKENS) for seed in range(STREAMS)]
        for stream in streams:
            assert stream.started.seed is not None
        return streams


@contextmanager
def replicas(one: Path, other: Path) -> Iterator[Replicas]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(process(models, *SLOWLY)) for models in (one, other))
        client = stack.enter_context(Client(f"ipv4:{first.address},{second.address}"))
        yield Replicas((first, second), client)


def test_streams_go_on_at_the_other_replica(tmp_path: Path) -> None:
    bundles.write_all(tmp_path)
    with replicas(tmp_path, tmp_path) as both:
        streams = both.texts()
        heads = [next(stream) for stream in streams]
        other = both.kill_the_busier("StreamText")
        texts = [head.text + "".join(chunk.text for chunk in rest) for head, rest in zip(heads, streams, strict=True)]
        assert started_calls(other, "StreamText") == STREAMS
        assert texts == ["".join(chunk.text for chunk in stream) for stream in both.texts()]


def test_pictures_go_on_at_the_other_replica(tmp_path: Path) -> None:
    bundles.autoencoder().write(tmp_path)

    def pictures(client: Client) -> ImageStream:
        return client.stream_images("tiny-faces", seed=3, count=PICTURES, format=ImageFormat.RAW_FLOAT32)

    with replicas(tmp_path, tmp_path) as both:
        stream = pictures(both.client)
        head = [next(stream)]
        other = both.kill_the_busier("StreamImages")
        got = [picture.data for picture in [*head, *stream]]
        assert started_calls(other, "StreamImages") == 1
        assert got == [picture.data for picture in pictures(both.client)]


def test_a_replica_with_another_fingerprint_is_refused(tmp_path: Path) -> None:
    bundles.stepper(seed=1).write(tmp_path / "one")
    bundles.stepper(seed=2).write(tmp_path / "other")
    with replicas(tmp_path / "one", tmp_path / "other") as both:
        streams = both.texts()
        for stream in streams:
            next(stream)
        other = both.kill_the_busier("StreamText")
        kept = started_calls(other, "StreamText")
        assert sum(mismatched(stream) for stream in streams) == STREAMS - kept > 0


def mismatched(stream: TextStream) -> bool:
    """Whether the rest of the stream is refused for its origin."""
    try:
        list(stream)
    except ResumeMismatch as error:
        return "another fingerprint" in str(error)
    return False
