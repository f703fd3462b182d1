"""Tokens that are bytes become text exactly, however they are cut, stopped and taken up again."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rhapsode_server.models.byte_alphabet import BYTES, CHARACTERS, spelled, to_bytes
from rhapsode_server.models.detokenizer import Detokenizer, whole
from rhapsode_server.models.row import Alphabet, TextRow
from rhapsode_server.models.text import Ended, EndReason, TextEvent, TextSpec, Tokens

# Bytes of which characters of every length, and all kinds of nonsense, are likely.
byte = st.sampled_from([*"aé€🙂\ufffd".encode(), 0xC0, 0xED, 0xA0, 0xF4, 0xFF])
token = st.lists(byte, min_size=1, max_size=5).map(bytes)
characters = st.lists(st.sampled_from("aé€🙂\ufffd"), min_size=1, max_size=3).map("".join)
texts = st.lists(st.sampled_from("abé€🙂👩\u200d🚀"), min_size=1, max_size=20).map("".join)


def test_the_alphabet_is_that_of_gpt_2() -> None:
    assert len(set(CHARACTERS)) == len(BYTES) == 256
    assert spelled(b"\n the\xe2\x82\xac\x7f\xad") == "ĊĠtheâĤ¬ġŃ"
    assert to_bytes(spelled(bytes(range(256)))) == bytes(range(256))


@settings(deadline=None)
@given(st.lists(token, max_size=20), st.integers(0, 20))
def test_pieces_are_the_text_of_the_whole(tokens: list[bytes], cut: int) -> None:
    ids = range(len(tokens))
    detokenizer = Detokenizer(tokens)
    pieces = [detokenizer.push(each) for each in ids]
    text = b"".join(tokens).decode(errors="replace")
    assert "".join(pieces) == whole(b"".join(tokens))
    assert "".join(pieces) + detokenizer.rest() == text
    later = Detokenizer(tokens, ids[:cut])
    assert [later.push(each) for each in ids[cut:]] == pieces[cut:]


def alphabet(tokens: Sequence[bytes]) -> Alphabet:
    return Alphabet(tuple(map(spelled, tokens)), None, pieces=tuple(tokens))


def spec(tokens: Sequence[bytes], received: Sequence[int] = (), stops: Sequence[str] = ()) -> TextSpec:
    return TextSpec((0,), tuple(received), max_tokens=len(tokens), stop_sequences=tuple(stops))


def said(events: Sequence[TextEvent]) -> str:
    return "".join(event.text if isinstance(event, Tokens) else event.tail for event in events)


def expected(data: bytes, stops: Sequence[str]) -> tuple[str, str]:
    """The text before the first stop, and the stop."""
    text = whole(data)
    ends = [(text.find(stop) + len(stop), -len(stop), stop) for stop in stops if stop in text]
    if not ends:
        return text, ""
    end, _, sequence = min(ends)
    return text[: end - len(sequence)], sequence


@settings(deadline=None)
@given(
    st.lists(token, min_size=1, max_size=20),
    st.lists(st.integers(1, 5), max_size=8),
    st.lists(characters, max_size=3),
)
def test_a_row_tells_the_text_up_to_its_first_stop(tokens: list[bytes], runs: list[int], stops: list[str]) -> None:
    tokens = [b"\n", *tokens]  # the prompt
    row = TextRow(spec(tokens[1:], stops=stops))
    known = alphabet(tokens)
    ids, events, at = list(range(1, len(tokens))), list[TextEvent](), 0
    for run in [*runs, len(tokens)]:
        if not row.ended:
            events += row.take(ids[at : at + run], (), known).events
            at += run
    text, stop = expected(b"".join(tokens[1:]), stops)
    assert said(events) == text
    end = events[-1]
    assert isinstance(end, Ended)
    assert (end.stop_sequence, end.reason is EndReason.STOP_SEQUENCE) == (stop, bool(stop))
    told = [one for event in events if isinstance(event, Tokens) for one in event.ids]
    assert told == ids[: len(told)]
    assert end.generated == len(told)
    if not stop:
        assert told == ids
    resumed_at_every_border(tokens, events, stops)


def resumed_at_every_border(tokens: list[bytes], events: list[TextEvent], stops: list[str]) -> None:
    """A stream that breaks after any chunk goes on with the rest."""
    known, received = alphabet(tokens), list[int]()
    for place, event in enumerate(events[:-2], 1):
        assert isinstance(event, Tokens)
        received += event.ids
        row = TextRow(spec(tokens[1:], received, stops))
        row.take(received, (), known)
        rest: list[TextEvent] = []
        for each in range(1 + len(received), len(tokens)):
            if not row.ended:
                rest += row.take([each], (), known).events
        assert said(rest) == said(events[place:])


@settings(deadline=None)
@given(texts, st.data())
def test_no_cut_shows_in_a_text_of_whole_characters(text: str, data: st.DataObject) -> None:
    content = text.encode()
    cuts = sorted(data.draw(st.sets(st.integers(1, len(content)), max_size=10)) | {0, len(content)})
    tokens = [b"\n", *(content[a:b] for a, b in pairwise(cuts))]
    known, kept = alphabet(tokens), data.draw(st.integers(0, len(tokens) - 2))
    received = range(1, 1 + kept)
    row = TextRow(spec(tokens[1:], received))
    if kept:
        assert row.take(received, (), known).events == []
    events = [event for each in range(1 + kept, len(tokens)) for event in row.take([each], (), known).events]
    assert said(events) == content.decode()[len(whole(content[: cuts[kept]])) :]
    for event in events[:-1]:  # each piece ends where a character does
        assert isinstance(event, Tokens)
        assert event.ids
        b"".join(tokens[: event.ids[-1] + 1]).decode()


@settings(deadline=None)
@given(st.lists(token, min_size=1, max_size=10), st.integers(1, 5))
def test_a_score_counts_every_character_once(tokens: list[bytes], run: int) -> None:
    tokens = [b"\n", *tokens]
    row, known, text = TextRow(TextSpec(tuple(range(len(tokens))), max_tokens=0)), alphabet(tokens), ""
    for at in range(1, len(tokens), run):
        text += said(row.take(range(at, min(at + run, len(tokens))), (), known).events)
    assert row.ended
    assert text == b"".join(tokens[1:]).decode(errors="replace")


def test_the_end_of_a_candidate_inside_a_character_has_no_text() -> None:
    tokens = [b"\n", b"a\xe2", b"\x82"]
    row = TextRow(spec(tokens[1:]))
    known = alphabet(tokens)
    assert row.take([1], (), known).events == []
    assert row.take([2], (), known).events == [Tokens([1, 2], "a", []), Ended(EndReason.MAX_TOKENS, 2)]


def test_a_stop_is_seen_before_the_character_after_it_is_whole() -> None:
    tokens = [b"\n", b"ab\xe2", b"\x82"]
    row = TextRow(spec(tokens[1:], stops=["b"]))
    assert row.take([1], (), alphabet(tokens)).events == [Ended(EndReason.STOP_SEQUENCE, 0, "b", "a")]


def test_a_stop_that_begins_with_the_rest_of_a_character_leaves_what_is_before_it() -> None:
    tokens = [b"\n", b"x", b"y\xe2", b"\x82\xac"]
    row, known = TextRow(spec(tokens[1:], stops=["€"])), alphabet(tokens)
    assert row.take([1, 2], (), known).events == [Tokens([1], "x", [])]
    assert row.take([3], (), known).events == [Ended(EndReason.STOP_SEQUENCE, 1, "€", "y")]


def test_bytes_that_can_be_no_character_are_told_at_once() -> None:
    tokens = [b"\n", b"\xff", b"\xe2", b"\xff", b"a"]
    row, known = TextRow(spec(tokens[1:])), alphabet(tokens)
    assert row.take([1], (), known).events == [Tokens([1], "\ufffd", [])]
    assert row.take([2], (), known).events == []
    assert row.take([3], (), known).events == [Tokens([2, 3], "\ufffd\ufffd", [])]


def test_a_token_goes_with_its_text_though_that_is_completed_by_one_that_waits() -> None:
    tokens = [b"\n", b"\xc3", b"\xa9\xc3", b"\xa9", b"a"]
    row, known = TextRow(spec(tokens[1:])), alphabet(tokens)
    assert row.take([1, 2], (), known).events == []
    assert row.take([3], (), known).events == [Tokens([1, 2, 3], "éé", [])]
