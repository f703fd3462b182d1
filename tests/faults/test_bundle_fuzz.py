"""A short hunt with broken bundles finds nothing, and the hunter finds what there is to find."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from benchmarks.fuzz import bundle_hunt, bundle_mutants, bundle_serving, bundle_trial, bundles
from benchmarks.fuzz.bundle_child import Child
from benchmarks.fuzz.bundle_trial import Trial

from rhapsode_server.models.base import Outcome
from rhapsode_server.models.decoder import Decoder, ImageRow, Picture
from rhapsode_server.repository import loading
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.stepping import Batching
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support.bundles import autoencoder, class_generator, grey_generator, stepper, transformer

PATIENCE = 60.0  # seconds: the machine may be busy
COUNT = 40
# Numbers of mutants of the shipped bundles that once found something.
FOUND = (2_000_001_269, 32_000_000_184)
SHIPPED = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("corpus")
    for draft in (stepper(), autoencoder(), class_generator(), grey_generator(), transformer()):
        draft.write(models)
    return models


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime(RuntimeOptions(provider="cpu"))


def test_mutants_are_refused_or_served_and_nothing_else(corpus: Path) -> None:
    found = bundle_hunt.hunt(corpus, range(COUNT), patience=PATIENCE)
    assert list(found.findings) == []
    assert (found.tried, found.refused.total() + found.served) == (COUNT, COUNT)
    assert found.served > 0
    assert len(found.refused) > 4  # rules: the mutants are not all broken in one way


def test_what_once_found_something_finds_nothing_more() -> None:
    with Child(SHIPPED, PATIENCE) as child:
        assert [bundle_hunt.judged(child.ask(number)).finding for number in FOUND] == [""] * len(FOUND)


def test_a_number_makes_the_same_mutant_again(corpus: Path, tmp_path: Path) -> None:
    originals = bundle_mutants.originals(corpus)
    for number in range(20):
        one, other = (bundle_mutants.write(number, originals, tmp_path / f"{number}{name}") for name in "ab")
        assert contents(one) == contents(other)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


ENDS: list[tuple[str, float, str]] = [
    ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", PATIENCE, "ends the process: SIGSEGV"),
    ("import sys; sys.exit(3)", PATIENCE, "ends the process: 3"),
    ("input()", 0.3, "hangs: twice no answer in 0.3 s"),
]


@pytest.mark.parametrize(("then", "patience", "finding"), ENDS, ids=["crash", "exit", "hang"])
def test_what_ends_a_process_is_found_and_costs_that_process_alone(then: str, patience: float, finding: str) -> None:
    program = f"print('ready', flush=True); number = input(); {then}"
    with Child(Path(), patience, ("-c", program)) as child:
        assert [child.ask(number).finding for number in (1, 2)] == [finding, finding]


def raising(*_: object) -> LoadedModel:
    raise KeyError("no refusal")


def test_an_error_that_is_no_refusal_is_found(corpus: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load", raising)
    trial = bundle_trial.run(1, bundle_mutants.originals(corpus), runtime)
    assert trial.finding.startswith("KeyError in test_bundle_fuzz.py")


def test_memory_is_found() -> None:
    assert bundle_hunt.judged(Trial(1, megabytes=bundle_hunt.MEGABYTES + 1)).finding == "takes 1537 MB"


def unsound(_: Decoder, rows: list[ImageRow]) -> list[Outcome[Picture]]:
    return [
        Outcome([Picture(np.zeros(8, np.float32), np.full((1, 8, 8), np.nan, np.float32))], done=True) for _ in rows
    ]


def endless(_: Decoder, rows: list[ImageRow]) -> list[Outcome[Picture]]:
    return [Outcome() for _ in rows]


@pytest.mark.parametrize(("advance", "told"), [(unsound, "NaN"), (endless, "never end")])
def test_replies_that_nobody_may_get_are_found(
    tmp_path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, advance: Callable[..., object], told: str
) -> None:
    loaded = loading.load(grey_generator().write(tmp_path), runtime, Batching())
    bundle_serving.serve(loaded)
    monkeypatch.setattr(Decoder, "advance", advance)
    with pytest.raises(ValueError, match=told):
        bundle_serving.serve(loaded)


def test_the_command_tells_what_it_found_and_keeps_it(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(_: Child, number: int) -> Trial:
        return Trial(number, finding="ends the process: SIGSEGV")

    monkeypatch.setattr(Child, "ask", crash)
    assert bundles.main([f"--models={corpus}", f"--out={tmp_path}", "--only=7"]) == 1
    told = capsys.readouterr().out
    assert "7: ends the process: SIGSEGV" in told
    assert "\n| 1 | 0 | 0 | 1 | 0.0 s | 0 MB |\n" in told
    assert (tmp_path / "7" / "finding.txt").read_text(encoding="utf-8") == "ends the process: SIGSEGV\n"
    assert any(path.suffix == ".onnx" for path in tmp_path.rglob("*") if path.is_file())
