"""The programs that load servers say how they are called, and what they miss."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.abuse.__main__ import main as abuse
from benchmarks.rolling.__main__ import main as rolling
from benchmarks.soak.__main__ import main as soak

programs = pytest.mark.parametrize("main", [abuse, rolling, soak], ids=["abuse", "rolling", "soak"])


def said(main: Callable[[], None], words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Call a program as its own arguments have it: the exit code."""
    monkeypatch.setattr(sys, "argv", ["__main__.py", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


@programs
def test_help_names_the_program(
    main: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(main, ["--help"], monkeypatch) == 0
    package = main.__module__.removesuffix(".__main__")
    assert capsys.readouterr().out.startswith(f"usage: python -m {package} [")


@programs
def test_models_that_are_not_there_are_a_line(
    main: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(main, [], monkeypatch) == 2
    assert "there is no folder models" in capsys.readouterr().err
