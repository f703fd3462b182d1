"""The judge of tunes: what parses, and which bars are filled."""

import pytest

from rhapsode_exporter.judge.abc_bars import bars_filled
from rhapsode_exporter.judge.abc_reading import read_abc
from rhapsode_exporter.judge.abc_tunes import figures, shares


def tune(body: str, metre: str = "2/4") -> str:
    return f"X:1\nT:A tune\nM:{metre}\nL:1/8\nK:D\n{body}\n"


@pytest.mark.parametrize(
    ("metre", "body"),
    [
        ("2/4", "ABcd|e2 f2|ABcd|e4||"),
        ("6/8", "ABc def|g3 f3|A2B c2d|e6|]"),
        ("C|", "ABcd efga|b2 a2 g2 f2|A8||"),
        ("C", "A>Bc<d (3efg a2|[A2d2f2] z2 A/B/c/d/ e2|A4 z4||"),
        ("2/4", "A|BAGF|E2 D2|E2 F2|D3||"),  # the pickup stands for the last bar's missing eighth
        ("2/4", "A|BAGF|E2 D2|E2 F2|D4||"),  # or does not
        ("2/4", "A|BAGF|D3:|d|fedc|A3:|"),  # each part its own pickup, repeated
        ("2/4", "A|BAGF|D3||d|fedc|D3||"),  # and played through
        ("2/4", "A|BAGF|D2::d2|fedc|d2 D:|"),  # a bar cut in two by the repeats, and one by the tune's end
        ("6/8", "A|BAG FED|1 E3 F2:|2 D3 D2||d|fed cBA|d3 d2||"),  # endings
        ("2/4", "|:ABcd|e2 f2:||:ABcd|e4:|"),
        ("2/4", "{e}ABcd|e-e f2||"),  # grace notes take no time; ties do not matter
    ],
)
def test_bars_that_are_filled(metre: str, body: str) -> None:
    handler = read_abc(tune(body, metre))
    assert handler is not None
    assert bars_filled(handler)


@pytest.mark.parametrize(
    ("metre", "body"),
    [
        ("2/4", "ABcd|e2 f|ABcd|e4||"),  # too short
        ("2/4", "ABcd|e2 f2 g|ABcd|e4||"),  # too long
        ("2/4", "ABcde|e4||"),  # no pickup is longer than a bar
        ("2/4", "ABcd|e3||"),  # nothing completes the last bar
        ("2/4", "A|BAGF|D2:|"),  # the pickup does not suffice
        ("2/4", "ABcd|e4||A|BAGF|D4||"),  # a second part's pickup after a full bar
        ("6/8", "ABcd|e2 f2||"),
        ("C|", "ABcd|efga|A8||"),
        ("none", "ABcd|"),
    ],
)
def test_bars_that_are_not_filled(metre: str, body: str) -> None:
    handler = read_abc(tune(body, metre))
    assert handler is not None
    assert not bars_filled(handler)


@pytest.mark.parametrize(
    "abc",
    [
        "",
        "nonsense",
        tune(""),
        tune("|||"),
        tune("z4|"),
        tune("ABcd|[e f"),
        tune("AB^|"),
        tune("AB 22 cd|"),
        "X:1\nK:G\nA",
    ],
)
def test_what_is_no_tune(abc: str) -> None:
    assert read_abc(abc) is None


def test_shares_of_lines() -> None:
    lines = ["M:2/4 K:D ABcd|e4||", "M:6/8 L:1/16 K:G A2B2c2 d2e2f2|\n", "M:2/4 K:D ABcd|ABc|e4||", "K:D nonsense"]
    assert (shares(lines).parsed, shares(lines).filled) == (0.75, 0.5)
    parsed, filled = figures(lines, lines[:1])
    assert (parsed.value, parsed.baseline, parsed.higher_is_better) == (0.75, 1.0, True)
    assert (filled.value, filled.baseline, filled.baseline_name) == (0.5, 1.0, "1 real tunes")
