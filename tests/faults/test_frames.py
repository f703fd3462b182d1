"""Requests that are read frame by frame: of a real server, and of one that goes on after the end."""

import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.abuse.raw import ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, encoded
from benchmarks.abuse.wire import frame, framed
from benchmarks.soak.checks import check
from benchmarks.soak.frames import STREAM, FrameRecorder
from benchmarks.soak.history import CANCELLED, OK
from benchmarks.soak.recorder import PLAIN, Recorder, Wish

from rhapsode.v1 import text_pb2
from support.kinds import LONG, SHORT
from support.server import load, running

ITEM = frame(DATA, 0, STREAM, framed(text_pb2.StreamTextResponse().SerializeToString()))
FIRST = frame(HEADERS, END_HEADERS, STREAM, encoded([(b":status", b"200")])) + ITEM
STATUS = frame(HEADERS, END_HEADERS | END_STREAM, STREAM, encoded([(b"grpc-status", b"0")]))
ASKED, PONG = frame(PING, 0, 0, bytes(8)), frame(PING, ACK, 0, bytes(8))
MAY_BE_CANCELLED = Wish((OK, CANCELLED), cancel_after=0.05)


async def test_a_server_answers_as_to_any_other_client(one_model: Path) -> None:
    async with running(load(one_model), address="127.0.0.1:0") as server:
        records = [
            await Recorder(server.channel).ask(SHORT, 1),
            await FrameRecorder(server.address).ask(SHORT, 1),
            await FrameRecorder(server.address).ask(LONG, 1, MAY_BE_CANCELLED),
        ]
        assert [record.outcome for record in records] == [OK, OK, CANCELLED]
        assert [each.what for each in check(records) if each.promise != 1] == []


async def test_a_reader_that_stands_still_is_given_up_and_one_that_stalls_is_not(one_model: Path) -> None:
    async with running(load(one_model), address="127.0.0.1:0", stall_timeout=0.2) as server:
        recorder = FrameRecorder(server.address)
        still = Wish(("CLIENT_TOO_SLOW",), pause=2.0)
        stalls = Wish((OK,), pause=0.02)
        assert check([await recorder.ask(SHORT, 1, wish) for wish in (still, stalls)]) == []


@pytest.mark.parametrize(
    ("wish", "said", "answer", "promises"),
    [
        pytest.param(PLAIN, FIRST + STATUS, PONG, set(), id="sound"),
        pytest.param(PLAIN, FIRST + STATUS + STATUS, PONG, {1}, id="two statuses"),
        pytest.param(PLAIN, FIRST + STATUS, ITEM + PONG, {1}, id="a message behind the status"),
        pytest.param(PLAIN, FIRST + STATUS, PONG + STATUS, {1}, id="a status behind all"),
        pytest.param(PLAIN, FIRST + frame(RST_STREAM, 0, STREAM, struct.pack(">I", 2)), PONG, {6}, id="broken off"),
        pytest.param(PLAIN, FIRST + frame(DATA, END_STREAM, STREAM, b""), PONG, {6}, id="ended without a status"),
        pytest.param(PLAIN, FIRST, b"", {6}, id="closed"),
        pytest.param(MAY_BE_CANCELLED, FIRST, PONG, set(), id="cancelled"),
        pytest.param(MAY_BE_CANCELLED, FIRST, ITEM + PONG, set(), id="on its way"),
        pytest.param(MAY_BE_CANCELLED, FIRST, STATUS + PONG, set(), id="ended just before"),
        pytest.param(MAY_BE_CANCELLED, FIRST, PONG + ITEM, {1, 4}, id="a message in spite of the cancel"),
        pytest.param(MAY_BE_CANCELLED, FIRST, PONG + STATUS, {1}, id="a status in spite of it"),
    ],
)
async def test_what_comes_after_the_end_is_seen(wish: Wish, said: bytes, answer: bytes, promises: set[int]) -> None:
    with saying(said, answer) as address:
        record = await FrameRecorder(address).ask(SHORT, 1, wish)
    found = {offence.promise for offence in check([record])}
    assert found - {3} == promises  # no lane was said to have ended


@contextmanager
def saying(said: bytes, answer: bytes) -> Iterator[str]:
    """A server that says this to whoever connects, and that in answer to a ping; without an answer it leaves."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(frame(SETTINGS, 0, 0, b"") + said)
            heard = b""
            while answer and (more := connection.recv(65_536)):
                before, heard = heard, heard + more
                if ASKED in heard and ASKED not in before:
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve, listener)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        served.result()
