"""Stop sequences: found exactly, held back while they may begin, and no longer."""

from hypothesis import given
from hypothesis import strategies as st

from rhapsode_server.models.stops import Stop, StopWatch


def feed(pieces: list[str], *stops: str) -> tuple[list[str], Stop | None, str]:
    """What is released token by token, the stop, and what is held at the end."""
    watch, released, gone = StopWatch(stops), [], 0
    for piece in pieces:
        free, stop = watch.push(piece)
        released.append("".join(pieces[gone : gone + free]))
        gone += free
        if stop is not None:
            return released, stop, ""
    return released, None, "".join(pieces[gone:])


def test_without_stop_sequences_everything_goes_at_once() -> None:
    assert feed(list("abc")) == (["a", "b", "c"], None, "")


def test_what_may_begin_a_stop_is_held_until_it_does_not() -> None:
    assert feed(list("abax"), "abab") == (["", "", "", "abax"], None, "")


def test_a_stop_is_cut_out_of_the_text() -> None:
    assert feed(list("to be."), "be") == (["t", "o", " ", "", ""], Stop("be", ""), "")


def test_a_stop_that_begins_inside_a_token_leaves_that_tokens_beginning() -> None:
    assert feed(["one", " two", "three"], "wot") == (["one", " two"[:0], ""], Stop("wot", " t"), "")


def test_a_stop_inside_one_token() -> None:
    assert feed(["x", "abcd"], "bc") == (["x", ""], Stop("bc", "a"), "")


def test_the_first_complete_stop_wins_and_the_longest_of_equals() -> None:
    assert feed(list("xaby"), "ab", "xab")[1] == Stop("xab", "")
    assert feed(list("xaby"), "y", "ab")[1] == Stop("ab", "")


def test_a_match_that_overlaps_a_failed_one_is_found() -> None:
    assert feed(list("aaab"), "aab") == (["", "", "a", ""], Stop("aab", ""), "")


@given(
    st.lists(st.text("ab", min_size=1, max_size=4), max_size=20),
    st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=3),
)
def test_what_is_told_is_the_text_before_the_first_stop(pieces: list[str], stops: list[str]) -> None:
    released, stop, held = feed(pieces, *stops)
    text = "".join(pieces)
    ends = [(text.find(each) + len(each), -len(each), each) for each in stops if each in text]
    if not ends:
        assert stop is None
        assert "".join(released) + held == text
        return
    end, _, sequence = min(ends)
    assert stop is not None
    assert stop.sequence == sequence
    assert "".join(released) + stop.tail == text[: end - len(sequence)]
