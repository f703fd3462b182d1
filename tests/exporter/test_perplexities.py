"""Perplexities fall with n until plain counts overfit, and a command tells and draws them."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.experiments.perplexities import compare
from rhapsode_exporter.judge import add_one
from rhapsode_exporter.judge.kneser_ney import count
from rhapsode_exporter.main import build_app

NOUNS, VERBS = ("dog", "cat", "king", "queen", "fool"), ("sees", "loves", "hears", "fears")


def prose(sentences: int, seed: int) -> str:
    chance = random.Random(seed)
    return "".join(
        f"The {chance.choice(NOUNS)} {chance.choice(VERBS)} the {chance.choice(NOUNS)}.\n" for _ in range(sentences)
    )


def test_plain_counts_are_as_by_hand() -> None:
    counted = count([np.array([0, 1, 0, 1, 1])], 3, order=2)
    unigram, bigram = add_one.nats_by_order(counted, [np.array([0, 1, 2])])
    assert unigram == pytest.approx(-np.log([3 / 8, 4 / 8, 1 / 8]).mean())
    assert bigram == pytest.approx(-np.log([2 / 4, 3 / 5, 1 / 5]).mean())  # after the start, after 0, after 1


def test_plain_counts_overfit_and_smoothed_ones_do_not() -> None:
    known, new = prose(150, 1), prose(150, 2)
    corpus = Corpus("", "", "", False, "", "", tuple(sorted(set(known))), (known,), ("",), (new,))
    smoothed, plain, *of_words = compare(corpus, characters=8, words=4)
    assert smoothed.known[-1] < smoothed.known[0]
    assert 1 < plain.best < 8
    assert plain.held_out[-1] > min(plain.held_out)
    assert smoothed.held_out[-1] < plain.held_out[-1]
    assert [(curve.unit, len(curve.known)) for curve in of_words] == [("word", 4)] * 2


def test_the_command_prints_a_table_and_writes_a_plot(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text(prose(500, 3), encoding="utf-8")
    printed = io.StringIO()
    app = build_app([], Console(file=printed, width=160))
    told = ["perplexities", "--data", f"{tmp_path}/own.txt", "--out", f"{tmp_path}/plots", "--characters", "3"]
    done = CliRunner().invoke(app, [*told, "--words", "2"], catch_exceptions=False)
    assert done.exit_code == 0
    assert all(word in printed.getvalue() for word in ("by n", "Kneser–Ney", "counts + 1", "held out", "word"))
    assert (tmp_path / "plots" / "perplexities.png").read_bytes().startswith(b"\x89PNG")
