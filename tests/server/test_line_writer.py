"""Lines are whole, in their order, and where some are missing a line says how many."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhapsode_server.observe.line_writer import LineWriter, pieces

WRITER = """
import sys
from rhapsode_server.observe.line_writer import LineWriter
out = LineWriter(1, str, room=1 << 30)
for _ in range(50):
    out.write((sys.argv[1] * 300 + "\\n") * 100)
out.close()
out._thread.join()
"""
FULL_DISK = """
import resource, sys
from queue import SimpleQueue
from rhapsode_server.observe.line_writer import LineWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
out = LineWriter(1, "{} missing\\n".format)
dropped = SimpleQueue()
out.count_dropped(dropped.put)
dropped.get()
for letter in "ab":
    out.write(letter * 59 + "\\n")
assert dropped.get() == 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
out.write("c\\n")
out.close()
"""


def tell(missing: int) -> str:
    return f"{missing} missing\n"


@dataclass(frozen=True)
class Pipe:
    """A writer into a pipe, what it was told to count, and the pipe's other end."""

    writer: LineWriter
    dropped: "SimpleQueue[int]"
    reading: int


@contextmanager
def pipe(room: int, *, blocking: bool) -> Iterator[Pipe]:
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)
    writer = LineWriter(writing, tell, room)
    dropped: SimpleQueue[int] = SimpleQueue()
    writer.count_dropped(dropped.put)
    assert dropped.get(timeout=60) == 0
    yield Pipe(writer, dropped, reading)
    os.close(writing)


@given(st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"") + b"\n")))
def test_pieces_are_whole_lines_and_lose_nothing(lines: list[bytes]) -> None:
    cut = list(pieces(b"".join(lines), 16))
    assert b"".join(cut) == b"".join(lines)
    assert all(piece.endswith(b"\n") and len(piece) <= 16 for piece in cut)


def test_a_line_longer_than_a_piece_is_a_piece_by_itself() -> None:
    assert list(pieces(b"a\n" + b"b" * 20 + b"\nc\n", 16)) == [b"a\n", b"b" * 20 + b"\n", b"c\n"]


def test_lines_of_two_processes_do_not_mix() -> None:
    reading, writing = os.pipe()
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, letter], stdout=writing) for letter in "ab"]
    os.close(writing)
    with os.fdopen(reading) as lines:
        seen = Counter(lines)
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen == {"a" * 300 + "\n": 5000, "b" * 300 + "\n": 5000}


@pytest.mark.parametrize("blocking", [True, False])
def test_a_hole_is_told_in_its_place_and_a_writer_never_waits(blocking: bool) -> None:
    with pipe(room=1 << 18, blocking=blocking) as made, os.fdopen(made.reading) as lines:
        written = missing = 0
        while not missing:  # the pipe takes 64 KiB, then what waits grows to its bound
            made.writer.write(f"{written:099}\n")
            written += 1
            missing = 0 if made.dropped.empty() else made.dropped.get()
        for _ in range(6):
            made.writer.write("lost\n")
        for number in range(written - 1):
            assert int(next(lines)) == number
        assert next(lines) == "7 missing\n"
        made.writer.write("goes on\n")
        assert next(lines) == "goes on\n"
        made.writer.close()
    assert written > 2000


def test_a_line_that_there_is_never_room_for_holds_up_no_others() -> None:
    with pipe(room=100, blocking=True) as made, os.fdopen(made.reading) as lines:
        made.writer.write("x" * 100 + "\n")
        assert next(lines) == "1 missing\n"
        made.writer.write("short\n")
        assert next(lines) == "short\n"
        made.writer.close()


def test_a_reader_that_comes_back_is_told_what_it_missed(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = LineWriter(os.open(path, os.O_WRONLY), tell)
    dropped: SimpleQueue[int] = SimpleQueue()
    os.close(reading)
    writer.count_dropped(dropped.put)
    for number in (0, 1, 1):
        assert dropped.get(timeout=60) == number
        writer.write("into nothing\n")
    assert dropped.get(timeout=60) == 1
    with os.fdopen(os.open(path, os.O_RDONLY)) as lines:
        writer.write("heard\n")
        assert [next(lines), next(lines)] == ["3 missing\n", "heard\n"]
        writer.close()


def test_a_line_that_a_full_disk_cut_short_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        subprocess.run([sys.executable, "-c", FULL_DISK], stdout=file, check=True, timeout=60)
    assert path.read_text().split("\n") == ["a" * 59, "b" * 40, "1 missing", "c", ""]


def test_what_is_dropped_before_anybody_counts_is_counted() -> None:
    with Path("/dev/full").open("wb") as full:
        writer = LineWriter(full.fileno(), tell)
        writer.write("one\ntwo\n")
        writer.close()
        dropped: SimpleQueue[int] = SimpleQueue()
        writer.count_dropped(dropped.put)
        assert dropped.get(timeout=60) == 2
        writer.write("after the end\n")
        assert dropped.get(timeout=60) == 1
