"""One child rehearses bundle after bundle, and another one goes on where a bundle ends it."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rhapsode_server.errors import LoadCrashed, LoadTooLong, StartupError
from rhapsode_server.repository.in_child import Bounds
from rhapsode_server.repository.rehearsals import Rehearsals
from rhapsode_server.repository.stepping import Batching
from rhapsode_server.runtime.providers import RuntimeOptions
from support.bundles import grey_generator, stepper

# What a child does whom one bundle crashes, and another one keeps busy for good.
HURT = """
import os, signal, threading
from rhapsode_server.repository import loading, rehearsals
whole, poisoned = loading.load, False
def load(folder, *others):
    if folder.parent.name == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if folder.parent.name == "poison":
        global poisoned
        poisoned = True
    elif poisoned:
        os.kill(os.getpid(), signal.SIGSEGV)
    if folder.parent.name == "hang":
        threading.Event().wait()
    return whole(folder, *others)
loading.load = load
rehearsals.main()
"""


def rehearsals() -> Rehearsals:
    return Rehearsals(RuntimeOptions(provider="cpu"), Batching(max_batch=4, buckets=(4,)), program=("-c", HURT))


@pytest.fixture
def some() -> Iterator[Rehearsals]:
    with closing(rehearsals()) as these:
        yield these


def test_one_child_tells_of_each_and_another_goes_on_where_it_crashes(tmp_path: Path, some: Rehearsals) -> None:
    sound, broken = stepper().write(tmp_path), grey_generator().write(tmp_path)
    (broken / "card.md").unlink()
    assert some.rehearse(sound).name == "tiny-text"
    with pytest.raises(StartupError, match=r"bundle tiny-digits/1: card.md: is listed, but missing"):
        some.rehearse(broken)
    with pytest.raises(LoadCrashed, match=r"crash/1: the model: ends the process that loads it, with SIGSEGV .*V4"):
        some.rehearse(tmp_path / "crash" / "1")
    assert some.rehearse(sound).digest


def test_one_is_not_blamed_for_what_another_did(tmp_path: Path, some: Rehearsals) -> None:
    with pytest.raises(StartupError):
        some.rehearse(tmp_path / "poison" / "1")
    assert some.rehearse(stepper().write(tmp_path)).name == "tiny-text"


def test_one_that_takes_too_long_is_cut_off(tmp_path: Path, some: Rehearsals) -> None:
    with pytest.raises(LoadTooLong, match=r"hang/1: the model: takes longer than 0.5 s .*V4"):
        some.rehearse(tmp_path / "hang" / "1", Bounds(0.5))


def test_none_is_left_behind(tmp_path: Path) -> None:
    some = rehearsals()
    some.rehearse(stepper().write(tmp_path))
    child = some._child
    assert child is not None
    some.close()
    assert child.returncode == 0
    some.close()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, signal.SIGTERM)


def test_it_comes_after_whoever_serves(tmp_path: Path, some: Rehearsals) -> None:
    some.rehearse(stepper().write(tmp_path))
    assert some._child is not None
    child = some._child.pid
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, child) == min(19, own + 10)
    if (score := Path(f"/proc/{child}/oom_score_adj")).exists():  # Linux
        assert score.read_text("ascii") == "1000\n"
