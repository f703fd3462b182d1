"""Lines of several processes into one pipe stay whole."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rhapsode_server.observe.whole_lines import WholeLines, pieces

WRITER = """
import sys
from rhapsode_server.observe.whole_lines import WholeLines
out = WholeLines(sys.stdout)
for _ in range(50):
    out.write((sys.argv[1] * 300 + "\\n") * 100)
"""


@given(st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b"") + b"\n")))
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
    with os.fdopen(reading) as pipe:
        seen = Counter(pipe)
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen == {"a" * 300 + "\n": 5000, "b" * 300 + "\n": 5000}


def test_a_stream_says_whether_people_look_at_it() -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        stream = WholeLines(nowhere)
        assert not stream.isatty()
        assert stream.write("möp\n") == 4
