"""Other protocols, broken frames and broken requests: what each gets, and whether its connection serves on."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from benchmarks.abuse.cases import CASES, Case
from benchmarks.abuse.raw import PING, Raw
from benchmarks.abuse.strangers import outcome
from benchmarks.abuse.wire import TEXT_UNARY, Wire, frame, framed

from support import bundles
from support.server import Process, process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    models: Path = tmp_path_factory.mktemp("models")
    bundles.stepper().write(models)
    with process(models) as started:
        yield started
        assert started.stop() == 0


@pytest.fixture(scope="module")
def outcomes(server: Process) -> Mapping[str, tuple[str, bool]]:
    """All at once: gRPC lets those that send too much wait for a while."""
    with ThreadPoolExecutor(len(CASES)) as pool:
        found = pool.map(lambda case: outcome(server.address, case), CASES)
        return dict(zip((case.name for case in CASES), found, strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_stranger_is_sent_away(case: Case, outcomes: Mapping[str, tuple[str, bool]]) -> None:
    assert outcomes[case.name] == (case.end, case.serves_on)


def test_pings_without_end_end_the_connection(server: Process) -> None:
    with Raw(server.address) as raw:
        raw.send(20 * frame(PING, 0, 0, bytes(8)))
        assert raw.ending() == "GOAWAY ENHANCE_YOUR_CALM"


def test_a_connection_has_no_more_streams_than_it_may(server: Process) -> None:
    with Wire(server.address) as wire:
        wire.receive(5.0)
        assert wire.h2.remote_settings.max_concurrent_streams == 100


def test_a_message_in_pieces_of_a_byte_is_served(server: Process) -> None:
    with Wire(server.address) as wire:
        stream = wire.head(TEXT_UNARY)
        for byte in framed(b""):
            wire.h2.send_data(stream, bytes([byte]))
            wire.flush()
        wire.h2.end_stream(stream)
        wire.flush()
        assert wire.status(stream) == "INVALID_ARGUMENT"
