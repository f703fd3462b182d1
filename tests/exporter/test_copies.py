"""What is copied is found as comparing every stretch with every other finds it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhapsode_exporter.judge.copies import copied_share, longest_copy

texts = st.lists(st.text(alphabet="ab", max_size=40), min_size=1, max_size=3)


def stretches(texts: list[str], size: int) -> list[str]:
    return [text[start : start + size] for text in texts for start in range(len(text) - size + 1)]


@settings(deadline=None, max_examples=150)
@given(sample=texts, known=texts)
def test_the_longest_copy_is_that_of_brute_force(sample: list[str], known: list[str]) -> None:
    copied = [size for size in range(1, 41) if set(stretches(sample, size)) & set(stretches(known, size))]
    assert longest_copy(sample, known) == max(copied, default=0)


@settings(deadline=None, max_examples=150)
@given(sample=texts, known=texts, size=st.integers(1, 20))
def test_the_copied_share_is_that_of_brute_force(sample: list[str], known: list[str], size: int) -> None:
    ours, theirs = stretches(sample, size), set(stretches(known, size))
    expected = sum(part in theirs for part in ours) / len(ours) if ours else None
    assert copied_share(sample, known, size) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("length", [1, 15, 16, 17, 31, 32, 33, 100, 1000])
def test_a_planted_copy_has_its_length(length: int) -> None:
    planted = "".join(chr(0x400 + number * number % 997) for number in range(length))
    assert longest_copy(["x" + planted + "y"], ["so " + planted, planted + " it is"]) == length


def test_no_copy_reaches_over_the_end_of_a_text() -> None:
    assert longest_copy(["abc", "def"], ["abcdef"]) == 3
    assert longest_copy(["abcdef"], ["abc", "def"]) == 3
    assert copied_share(["abc", "def"], ["abcdef"], 4) is None
    assert longest_copy([], ["abc"]) == longest_copy([""], ["abc"]) == longest_copy(["abc"], []) == 0
