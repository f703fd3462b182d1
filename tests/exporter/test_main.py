"""The command line says what it does, and refuses before it trains."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner, Result

from rhapsode_exporter.bundle.draft import BundleDraft
from rhapsode_exporter.errors import BundleExistsError, RunExistsError
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.catalogue import families
from rhapsode_exporter.families.faces_vae import FacesVae
from rhapsode_exporter.main import INTERRUPTED, build_app
from rhapsode_exporter.run.folder import Position
from rhapsode_exporter.run.stop import Equilibrium, StopRule

CHOICES = ("--schedule", "other", "--loss", "another", "--data", "known")


class Eager:
    """A family that writes a checkpoint and is interrupted."""

    name = "eager"
    description = "a family for tests"
    schedules = ("usual", "other")
    losses = ("usual", "another")
    data_sets = ("known",)

    def __init__(self, *, measures_error: bool) -> None:
        self.measures_error = measures_error
        self.orders: list[Order] = []
        self.threads: list[int] = []

    def train(self, order: Order) -> BundleDraft | None:
        self.orders.append(order)
        self.threads.append(torch.get_num_threads())
        run = order.open_run(self.name, order.stop_rule(10))
        run.folder.save(Position(run.rule.steps, 0.0), {}, {})
        return None


class Shell:
    """The command line over one family, in a folder of its own."""

    def __init__(self, folder: Path, *, measures_error: bool = True) -> None:
        self.family = Eager(measures_error=measures_error)
        self.folder = folder
        self.console = Console(file=io.StringIO(), width=200)

    def run(self, *words: str) -> Result:
        folders = ("--out", f"{self.folder}/models", "--runs", f"{self.folder}/runs") if "eager" in words else ()
        app = build_app([self.family], self.console)
        return CliRunner().invoke(app, [*words, *folders], catch_exceptions=False)

    def said(self) -> str:
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue()


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    """The command sets the threads of the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_list_names_all_families() -> None:
    console = Console(file=io.StringIO(), width=200)
    CliRunner().invoke(build_app(families(), console), ["list"], catch_exceptions=False)
    assert isinstance(console.file, io.StringIO)
    for name in (
        "shakespeare-rnn",
        "shakespeare-lstm",
        "shakespeare-mingru",
        "fiddle-rnn",
        "headlines-rnn",
        "molecules-rnn",
        "code-rnn",
        "names-rnn",
        "faces-vae",
        "shapes-vae",
        "digits-gan",
        "fashion-gan",
        "digits-critic",
        "diagonals-gan",
        "digits-bayes",
        "digits-rbm",
    ):
        assert name in console.file.getvalue()


def test_an_interrupted_run_says_how_to_go_on(shell: Shell) -> None:
    assert shell.run("eager", "--quick", "--seed", "7", "--steps", "3", *CHOICES).exit_code == INTERRUPTED
    assert "--resume" in shell.said()
    order = shell.family.orders[0]
    assert (order.quick, order.seed, order.steps, order.resume) == (True, 7, 3, None)
    assert (order.schedule, order.loss, order.data) == ("other", "another", Path("known"))
    assert (shell.folder / "runs" / "eager-quick" / "checkpoint.pt").exists()


def test_a_checkpoint_is_not_overwritten_unasked(shell: Shell) -> None:
    shell.run("eager")
    with pytest.raises(RunExistsError, match="--resume"):
        shell.run("eager")
    assert shell.run("eager", "--resume").exit_code == INTERRUPTED
    assert shell.run("eager", "--fresh").exit_code == INTERRUPTED


def test_an_existing_bundle_is_refused_before_training(shell: Shell) -> None:
    (shell.folder / "models" / "eager" / "1").mkdir(parents=True)
    with pytest.raises(BundleExistsError, match="--overwrite"):
        shell.run("eager")
    assert shell.family.orders == []
    assert shell.run("eager", "--version", "2").exit_code == INTERRUPTED


@pytest.mark.parametrize(
    "words",
    [
        ("--schedule", "unknown"),
        ("--loss", "unknown"),
        ("--seed", "-1"),
        ("--steps", "0"),
        ("--data", "missing"),
        ("--threads", "0"),
        ("--error-below", "-1"),
        ("--change-below", "-1"),
    ],
)
def test_bad_options_are_refused_before_training(words: tuple[str, ...], shell: Shell) -> None:
    assert shell.run("eager", *words).exit_code == 2
    assert shell.family.orders == []


@pytest.mark.parametrize("option", ["--error-below", "--change-below"])
def test_a_game_has_no_error_to_be_stopped_by(option: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path, measures_error=False)
    refused = shell.run("eager", option, "0.5")
    assert refused.exit_code == 2
    assert option in refused.output
    assert shell.family.orders == []


def test_a_loss_is_refused_where_there_is_none_to_choose(tmp_path: Path) -> None:
    app = build_app([FacesVae()], Console(file=io.StringIO()))
    refused = CliRunner().invoke(app, ["faces-vae", "--loss", "hinge", "--out", str(tmp_path)])
    assert refused.exit_code == 2
    assert "faces-vae has none" in refused.output


def test_data_that_is_neither_there_nor_known_is_refused(shell: Shell) -> None:
    refused = shell.run("eager", "--data", "unknown")
    assert refused.exit_code == 2
    assert "known" in refused.output
    assert shell.family.orders == []


COUNTED = ("unigram", "bigram", "trigram", "fourgram", "ngram")


def test_families_say_whether_they_measure_an_error() -> None:
    assert {family.name: family.measures_error for family in families()} == {
        "shakespeare-rnn": True,
        "shakespeare-lstm": True,
        "shakespeare-mingru": True,
        "fiddle-rnn": True,
        "headlines-rnn": True,
        "molecules-rnn": True,
        "code-rnn": True,
        "names-rnn": True,
        **{f"shakespeare-{unit}{name}": False for unit in ("", "words-") for name in COUNTED},
        "headlines-critic": True,
        "faces-vae": True,
        "faces-codec": True,
        "shapes-vae": True,
        "digits-gan": False,
        "digits-critic": False,
        "fashion-gan": False,
        "digits-restore": True,
        "glyphs-bold": True,
        "diagonals-gan": False,
        "digits-diffusion": True,
        "digits-bayes": False,
        "digits-rbm": False,
        "digits-dbm": False,
        "encrypt": False,
    }


def test_the_stop_rule_is_what_was_asked_for_else_the_familys(shell: Shell) -> None:
    shell.run("eager", "--error-below", "1.5", "--change-below", "0.01")
    shell.run("eager", "--fresh", "--steps", "3")
    asked, usual = shell.family.orders
    equilibrium = Equilibrium(epsilon=0.1, steps=20)
    assert asked.stop_rule(10) == StopRule(10, error_below=1.5, change_below=0.01)
    assert usual.stop_rule(10, equilibrium) == StopRule(3, equilibrium=equilibrium)


def test_quick_models_train_on_one_thread_and_others_on_all(shell: Shell) -> None:
    shell.run("eager", "--quick")
    shell.run("eager")
    shell.run("eager", "--fresh", "--threads", "3")
    assert shell.family.threads == [1, os.cpu_count(), 3]
