"""Ids of requests that gRPC receives and does not send: what such a client gets, by HTTP/2 frame by frame."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.abuse.cases import UNFIT_IDS
from benchmarks.abuse.wire import TEXT_STREAM, TEXT_UNARY, WATCH, Header, Wire
from h2.events import Event, ResponseReceived, TrailersReceived

from rhapsode.v1.text_pb2 import StreamTextRequest
from support import bundles
from support.access import entry, write
from support.requests import text
from support.server import Process, process

CHECK = "/grpc.health.v1.Health/Check"
LIST = "/rhapsode.v1.ModelService/ListModels"
MADE = re.compile(rb"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    bundles.stepper().write(folder)
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Process]:
    with process(models) as started:
        yield started
        assert started.stop() == 0
        assert all(json.loads(line) for line in started.child.rest().splitlines())  # gRPC had nothing to say


def ask(wire: Wire, path: str, message: bytes, request_id: bytes) -> int:
    """Send a request with an id: its stream."""
    stream = wire.ask(path, message, ((b"x-request-id", request_id),))
    wire.flush()
    return stream


def given_back(wire: Wire) -> bytes:
    """The id that an answer has, whether it comes before the first message or after the last."""
    event = wire.until(lambda event: bool(_ids(event)))
    assert event is not None
    return _ids(event)[0]


def _ids(event: Event) -> list[bytes]:
    fields: list[Header] = event.headers if isinstance(event, ResponseReceived | TrailersReceived) else []
    return [value for name, value in fields if name == b"x-request-id"]


@pytest.mark.parametrize("sent", UNFIT_IDS.values(), ids=UNFIT_IDS)
def test_an_id_that_grpc_does_not_send_costs_no_status(server: Process, sent: bytes) -> None:
    a_token = StreamTextRequest(generation=text(1)).SerializeToString()
    rpcs = ((LIST, b"", "OK"), (CHECK, b"", "OK"), (TEXT_UNARY, b"", "INVALID_ARGUMENT"), (TEXT_STREAM, a_token, "OK"))
    with Wire(server.address) as wire:
        for path, message, status in rpcs:
            stream = ask(wire, path, message, sent)
            assert MADE.fullmatch(given_back(wire)), path
            assert wire.status(stream) == status, path
        ask(wire, WATCH, b"", sent)
        assert MADE.fullmatch(given_back(wire))


def test_a_refusal_for_want_of_a_credential_has_its_status_too(models: Path, tmp_path: Path) -> None:
    access = write(tmp_path / "access.toml", entry("one", "token"))
    with process(models, "--access", access) as server, Wire(server.address) as wire:
        stream = ask(wire, LIST, b"", b"\xff")
        assert MADE.fullmatch(given_back(wire))
        assert wire.status(stream) == "UNAUTHENTICATED"


def test_an_id_that_is_fit_is_the_clients_own(server: Process) -> None:
    with Wire(server.address) as wire:
        ask(wire, LIST, b"", b'"my_id~!')
        assert given_back(wire) == b'"my_id~!'
