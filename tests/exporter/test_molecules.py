"""Molecules are parsed, compared by what they are, and counted."""

import builtins
from collections.abc import Mapping, Sequence

import pytest

from rhapsode_exporter.errors import EvaluationRefusedError
from rhapsode_exporter.judge.molecules import Census, canonical, census, figures, known_molecules


def test_molecules_are_compared_by_what_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    ethanol, same, open_ring, five_bonds, nothing = canonical(["CCO", "OCC\n", "C1CC", "C(C)(C)(C)(C)C", " "])
    assert ethanol == same == "CCO"
    assert open_ring is None
    assert five_bonds is None
    assert nothing is None
    assert capfd.readouterr().err == ""


def test_a_training_set_is_read_with_progress() -> None:
    notes: list[str] = []
    assert known_molecules(["CCO", "OCC", "broken(", "CC"], notes.append) == {"CCO", "CC"}
    assert notes == ["read 4 of 4 known molecules"]


def test_molecules_are_counted() -> None:
    counted = census(["OCC", "CCO", "CC", "C(", "N"], frozenset({"CCO"}))
    assert counted == Census(written=5, valid=4, different=3, new=2)
    assert (counted.validity, counted.uniqueness, counted.novelty) == (0.8, 0.75, 2 / 3)
    assert census(["("], frozenset()).novelty == 0.0


def test_figures_stand_beside_the_n_grams() -> None:
    found = figures(["OCC", "N"], ["C(", "CCO"], frozenset({"CCO"}), "a bigram")
    assert [(metric.name, metric.value, metric.baseline) for metric in found] == [
        ("valid_share", 1.0, 0.5),
        ("unique_share", 1.0, 1.0),
        ("novel_share", 0.5, 0.0),
    ]
    assert {metric.baseline_name for metric in found} == {"SMILES of a bigram"}


def test_without_rdkit_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(
        name: str,
        variables: Mapping[str, object] | None = None,
        local: Mapping[str, object] | None = None,
        wanted: Sequence[str] | None = (),
        level: int = 0,
    ) -> object:
        if name == "rdkit":
            raise ImportError(name)
        return real(name, variables, local, wanted, level)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EvaluationRefusedError, match="pip install"):
        canonical(["C"])
