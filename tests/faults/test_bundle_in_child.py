"""What ends, stops or bloats the process that loads a bundle does that to a child, and is told like any refusal."""

from pathlib import Path

import pytest

from rhapsode_server.errors import BundleError, StartupError
from rhapsode_server.repository.in_child import PROGRAM, Bounds, rehearse_in_child
from rhapsode_server.repository.stepping import Batching
from rhapsode_server.runtime.providers import RuntimeOptions
from support.breaking import edit_graph
from support.bundles import grey_generator
from support.hostile_graphs import hungry

FILE = "decode.onnx"
ENOUGH = Bounds(seconds=120, memory=2**30)
ENDS = {
    "a crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ends the process .* with SIGSEGV"),
    "the kernel": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ends the process .* with SIGKILL"),
    "a bug of ours": ("raise KeyError", "ends the process .* with status 1"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return grey_generator().write(tmp_path)


def rehearse(folder: Path, bounds: Bounds = ENOUGH, program: tuple[str, ...] = PROGRAM) -> None:
    rehearse_in_child(folder, RuntimeOptions(provider="cpu"), Batching(max_batch=4, buckets=(4,)), bounds, program)


def test_a_sound_bundle_passes(folder: Path) -> None:
    rehearse(folder)


def test_a_refusal_is_told_as_ever(folder: Path) -> None:
    (folder / "card.md").unlink()
    with pytest.raises(StartupError, match=r"bundle tiny-digits/1: card.md: is listed, but missing .*F4"):
        rehearse(folder)


def test_a_graph_that_takes_more_memory_than_it_may_is_refused(folder: Path) -> None:
    """Four gigabytes for the 33 rows of the goldens; with no bound the machine would give them."""
    edit_graph(folder, FILE, hungry(2**25))
    with pytest.raises(StartupError, match=r"decode.onnx: there was not the memory for the run: .*V2"):
        rehearse(folder)


def test_a_load_that_takes_too_long_is_cut_off(folder: Path) -> None:
    with pytest.raises(BundleError, match=r"tiny-digits/1: the model: takes longer than 0.05 s .*V4"):
        rehearse(folder, Bounds(seconds=0.05))


@pytest.mark.parametrize(("then", "told"), ENDS.values(), ids=ENDS)
def test_what_ends_the_process_is_told(folder: Path, then: str, told: str) -> None:
    with pytest.raises(BundleError, match=rf"tiny-digits/1: the model: {told} .*V4"):
        rehearse(folder, program=("-c", then))
