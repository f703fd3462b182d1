"""A tune of ABC becomes one line and a tune again."""

import pytest

from rhapsode_exporter.data.abc_line import to_abc, to_line

TUNE = """X: 12
T: The Pigeon on the Gate % as in the book
M: 6/8
L: 1/8
Q: 3/8=120
K: G Major
D \\
| "G"G2A {c}B2.d | TA>G (FE/D/) \\
| ~g3 !fermat!a2 z ||
|| (3gfe [GB]2 x :|1 d,2c' :|[2 ^f=f_e- e6 |]
w: words
"""
LINE = "M:6/8 K:G D|G2A B2d|A>G FE/D/|g3 a2 z||(3gfe [GB]2 z:|1 d,2c':|2 ^f=f_e- e6||"


def test_a_tune_in_one_line() -> None:
    assert to_line(TUNE) == LINE


def test_a_line_is_a_tune_again() -> None:
    assert to_abc(LINE, 3) == "X:3\nT:Tune 3\nM:6/8\nL:1/8\nK:G\n" + LINE.removeprefix("M:6/8 K:G ") + "\n"
    assert to_line(to_abc(LINE)) == LINE


@pytest.mark.parametrize(
    ("header", "prefix"),
    [
        ("M:C|\nL:1/8\nK:A Mixolydian", "M:C| K:Amix"),
        ("M:2/4\nL:1/16\nK:E Minor", "M:2/4 L:1/16 K:Em"),
        ("M:2/4\nK:Bb", "M:2/4 L:1/16 K:Bb"),
        ("M:3/4\nK:F#m", "M:3/4 K:F#m"),
        ("M:9/8 % Aird bars it in 6/8\nL:1/8\nK:ADor", "M:9/8 K:Ador"),
    ],
)
def test_the_prefix(header: str, prefix: str) -> None:
    line = to_line(f"X:1\n{header}\nabc:|\n")
    assert line == f"{prefix} abc:|"
    assert to_line(to_abc(line)) == line


@pytest.mark.parametrize(
    ("written", "bars"),
    [("ab ||\n| cd", "ab||cd"), ("ab |\n| cd", "ab|cd"), ("ab :|\n|: cd", "ab::cd"), ("A:|\nB:|", "A:|B:|")],
)
def test_bars_at_the_ends_of_lines(written: str, bars: str) -> None:
    assert to_line(f"X:1\nM:C\nL:1/8\nK:C\n{written}") == f"M:C K:C {bars}"


@pytest.mark.parametrize(
    "tune",
    [
        "",
        "X:1\nM:C\nK:C\n",
        "X:1\nK:C\nabc|\n",
        "X:1\nM:free\nK:C\nabc|\n",
        "X:1\nM:1/0\nK:C\nabc|\n",
        "X:1\nM:C\nK:HP\nabc|\n",
        "X:1\nM:C\nK:EM\nabc|\n",
        "X:1\nM:C\nL:1/3\nK:C\nabc|\n",
        "X:1\nM:C\nK:C\nabc|\nK:D\nabc|\n",
        "X:1\nM:C\nK:C\nabc|[K:D]abc|\n",
        "X:1\nM:C\nK:C\nV:1\nabc|\nV:2\nABC|\n",
        "X:1\nM:C\nK:C\nabc &|\n",
        "X:1\nM:C\nK:C\n" + "abc|| " * 5000 + "&",
    ],
)
def test_what_is_no_line(tune: str) -> None:
    assert to_line(tune) is None


@pytest.mark.parametrize("line", ["", "abc|", "M:6/8 K:G", "M:6/8 K:G ", "K:G abc|", "M:6/8 abc|"])
def test_what_is_no_tune(line: str) -> None:
    with pytest.raises(ValueError, match="begins with M:metre"):
        to_abc(line)
