"""Files are watched for what they hold: changes count when they have lasted, and nothing else does."""

import os
import threading
from pathlib import Path

import pytest

from rhapsode_server.serve.watching import Watch

PATIENCE = 60.0  # seconds for what takes some thousandths


class Looks:
    """A watch of some files, looked through by hand."""

    def __init__(self, *paths: Path) -> None:
        self.reloads = 0
        self._watch = Watch(paths, self._reload)
        self.at_rest()

    def _reload(self) -> None:
        self.reloads += 1

    def look(self) -> int:
        """How often it has reloaded after one more look."""
        self._watch.look()
        return self.reloads

    def at_rest(self) -> int:
        """The same when it has looked until nothing is new."""
        self.look()
        return self.look()


def test_a_change_counts_when_it_has_lasted_for_two_looks(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"1")
    second.write_bytes(b"1")
    looks = Looks(first, second)
    assert looks.reloads == 1  # at the beginning
    first.write_bytes(b"2")
    assert looks.look() == 1
    second.write_bytes(b"2")  # in the midst of it
    assert looks.look() == 1
    assert looks.look() == 2
    assert looks.at_rest() == 2


def test_what_is_compared_is_what_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    times = path.stat()
    looks = Looks(path)
    os.utime(path)
    assert looks.at_rest() == 1
    path.write_bytes(b"2")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # of the same size and time, in place
    assert looks.at_rest() == 2
    path.unlink()
    assert looks.at_rest() == 3


def test_a_folder_that_a_link_is_turned_away_from_is_a_change(tmp_path: Path) -> None:
    for name in ("..one", "..two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tls.crt").write_text(name)
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "tls.crt").symlink_to("..data/tls.crt")
    looks = Looks(tmp_path / "tls.crt")
    (tmp_path / "..fresh").symlink_to("..two")
    (tmp_path / "..fresh").replace(tmp_path / "..data")
    assert looks.at_rest() == 2


def test_a_pipe_is_left_alone(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert Looks(pipe).at_rest() == 1


def test_a_fault_in_one_reload_does_not_end_the_watch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = threading.Event()
    reloads = []

    def reload() -> None:
        reloads.append(path.read_text())
        if len(reloads) == 1:
            path.write_text("2")
            raise ZeroDivisionError
        done.set()

    path = tmp_path / "a"
    path.write_text("1")
    watch = Watch([path], reload, interval=0.001)
    watch.start()
    assert done.wait(PATIENCE)
    watch.close()
    assert reloads == ["1", "2"]
    assert "ZeroDivisionError" in capsys.readouterr().err
