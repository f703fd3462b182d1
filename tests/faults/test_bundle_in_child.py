"""What ends, stops or bloats the process that loads a bundle does that to a child, and is told like any refusal."""

import json
from functools import partial
from pathlib import Path

import pytest

from rhapsode_server import main
from rhapsode_server.errors import BundleError, StartupError
from rhapsode_server.repository import loading
from rhapsode_server.repository.in_child import PROGRAM, Bounds, Rehearsed, rehearse_in_child
from rhapsode_server.repository.stepping import Batching
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support.breaking import edit_graph
from support.bundles import grey_generator, stepper
from support.hostile_graphs import hungry

FILE = "decode.onnx"
ENOUGH = Bounds(seconds=120, memory=2**30)
OPTIONS, BATCHING = RuntimeOptions(provider="cpu"), Batching(max_batch=4, buckets=(4,))
# What a child does whom one bundle crashes.
CRASHES = """
import io, os, signal, sys
said = sys.stdin.read()
if "tiny-digits" in said:
    os.kill(os.getpid(), signal.SIGSEGV)
sys.stdin = io.StringIO(said)
from rhapsode_server.repository import in_child
sys.exit(in_child.main())
"""
ENDS = {
    "a crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ends the process .* with SIGSEGV"),
    "the kernel": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ends the process .* with SIGKILL"),
    "a bug of ours": ("raise KeyError", "ends the process .* with status 1"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return grey_generator().write(tmp_path)


def rehearse(folder: Path, bounds: Bounds = ENOUGH, program: tuple[str, ...] = PROGRAM) -> Rehearsed:
    return rehearse_in_child(folder, OPTIONS, BATCHING, bounds, program)


def test_a_sound_bundle_passes(folder: Path) -> None:
    told, here = rehearse(folder), loading.load(folder, Runtime(OPTIONS), BATCHING)
    assert (told.name, told.version, told.fingerprint) == ("tiny-digits", 1, here.fingerprint)


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


def test_a_check_goes_on_behind_a_bundle_that_crashes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    models = folder.parents[1]
    (stepper().write(models) / "card.md").unlink()
    grey_generator(name="zebras").write(models)
    crashes = partial(rehearse_in_child, program=("-c", CRASHES))
    monkeypatch.setattr("rhapsode_server.serve.loading.rehearse_in_child", crashes)
    assert main.run(["--check", "--models", str(models), "--provider", "cpu"], {}) == 1
    said = capfd.readouterr()
    crash, refusal = said.err.splitlines()
    assert "tiny-digits/1: the model: ends the process that loads it, with SIGSEGV" in crash
    assert "tiny-text/1: card.md: is listed, but missing" in refusal
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [line["model"] for line in lines if line["msg"] == "model loaded"] == ["zebras"]
