"""The plans of streams, on values: whatever breaks where, nothing is lost and nothing comes twice."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.scripted import DRAWN_SEED, FINGERPRINT, letters, text_messages, token
from rhapsode.v1 import image_pb2, text_pb2
from rhapsode_client.errors import ResumeMismatch, UnexpectedReply
from rhapsode_client.resume.images import ImagesPlan, rest_of_generation
from rhapsode_client.resume.text import TextPlan
from rhapsode_client.types import TextChunk


def regrouped(
    messages: Sequence[text_pb2.StreamTextResponse], sizes: Sequence[int]
) -> list[text_pb2.StreamTextResponse]:
    """The same stream with several tokens a message: groups of the sizes in turn, a chunk for each candidate."""
    grouped: list[text_pb2.StreamTextResponse] = []
    rest = list(messages)
    for turn in range(len(messages)):
        size = sizes[turn % len(sizes)]
        part, rest = rest[:size], rest[size:]
        if part:
            grouped.append(joined(part))
    return grouped


def joined(part: Sequence[text_pb2.StreamTextResponse]) -> text_pb2.StreamTextResponse:
    whole = text_pb2.StreamTextResponse()
    chunks: dict[tuple[int, bool], text_pb2.TextChunk] = {}
    for message in part:
        if message.HasField("started"):
            whole.started.CopyFrom(message.started)
        for chunk in message.chunks:
            known = chunks.setdefault((chunk.candidate, chunk.echoed), text_pb2.TextChunk())
            if known.token_ids:
                known.text += chunk.text
                known.token_ids.extend(chunk.token_ids)
            else:
                known.CopyFrom(chunk)
        whole.finished.extend(message.finished)
    whole.chunks.extend(chunks.values())
    return whole


@settings(deadline=None, max_examples=60)
@given(
    candidates=st.integers(1, 3),
    tokens=st.integers(1, 30),
    echo=st.booleans(),
    attempts=st.lists(st.tuples(st.integers(0, 20), st.lists(st.integers(1, 5), min_size=1, max_size=3)), max_size=4),
)
def test_breaks_leave_no_trace(candidates: int, tokens: int, echo: bool, attempts: list[tuple[int, list[int]]]) -> None:
    request = text_pb2.StreamTextRequest()
    request.generation.text = "p"
    request.generation.candidate_count = candidates
    request.generation.stopping.max_tokens = tokens
    request.generation.echo = echo
    plan, got = TextPlan(request), list[TextChunk]()
    for cut, sizes in [*attempts, (1000, [1])]:
        asked = plan.next_request().generation
        if len(asked.received_token_ids) < tokens or not plan.complete:
            for message in regrouped(list(text_messages(asked, FINGERPRINT)), sizes)[:cut]:
                got.extend(plan.receive(message))
        if plan.complete:
            break
    for candidate in range(candidates):
        own = [chunk for chunk in got if chunk.candidate == candidate]
        expected = [token(DRAWN_SEED, candidate, index) for index in range(tokens)]
        assert "".join(chunk.text for chunk in own) == ("p" if echo else "") + letters(expected)
        generated = [chunk for chunk in own if not chunk.echoed]
        assert [t for chunk in generated for t in chunk.token_ids] == expected
        position = 0
        for chunk in generated:
            assert chunk.first_token_index == position
            position += len(chunk.token_ids)
        assert plan.ends()[candidate].usage.generated_token_count == tokens


def test_a_gap_in_the_tokens_is_noticed() -> None:
    plan = TextPlan(text_pb2.StreamTextRequest())
    with pytest.raises(UnexpectedReply, match="token 3 where 0 was due"):
        plan.receive(
            text_pb2.StreamTextResponse(
                started=text_pb2.TextStarted(seed=1),
                chunks=[text_pb2.TextChunk(text="a", token_ids=[1], first_token_index=3)],
            )
        )


def test_a_repetition_with_other_tokens_is_noticed() -> None:
    request = text_pb2.StreamTextRequest()
    request.generation.candidate_count = 2
    plan = TextPlan(request)
    started = text_pb2.TextStarted(seed=1, fingerprint="f")
    plan.receive(text_pb2.StreamTextResponse(started=started, chunks=[text_pb2.TextChunk(text="ab", token_ids=[1, 2])]))
    plan.next_request()
    with pytest.raises(ResumeMismatch, match="other tokens"):
        plan.receive(
            text_pb2.StreamTextResponse(started=started, chunks=[text_pb2.TextChunk(text="ac", token_ids=[1, 3])])
        )


def test_the_best_of_many_is_asked_for_once_more() -> None:
    request = text_pb2.StreamTextRequest()
    request.generation.keep_best.drawn = 4
    plan = TextPlan(request)
    message = text_pb2.StreamTextResponse(
        started=text_pb2.TextStarted(seed=1), chunks=[text_pb2.TextChunk(text="ab", token_ids=[1, 2])]
    )
    assert [chunk.text for chunk in plan.receive(message)] == ["ab"]
    again = plan.next_request().generation
    assert (again.seed, again.keep_best.drawn, list(again.received_token_ids)) == (1, 4, [])
    assert plan.receive(message) == []


def test_the_text_of_a_stop_sequences_token_comes_without_the_token() -> None:
    plan = TextPlan(text_pb2.StreamTextRequest())
    chunks = plan.receive(
        text_pb2.StreamTextResponse(
            started=text_pb2.TextStarted(seed=1),
            chunks=[text_pb2.TextChunk(text="tail")],
            finished=[text_pb2.TextFinished(reason=text_pb2.FINISH_REASON_STOP_SEQUENCE, stop_sequence=".")],
        )
    )
    assert [chunk.text for chunk in chunks] == ["tail"]
    assert plan.complete
    assert plan.ends()[0].stop_sequence == "."


@settings(deadline=None)
@given(count=st.integers(1, 20), first=st.integers(0, 9), cuts=st.lists(st.integers(0, 8), max_size=5))
def test_pictures_come_once_each(count: int, first: int, cuts: list[int]) -> None:
    request = image_pb2.StreamImagesRequest()
    request.generation.count = count
    request.generation.first_index = first
    plan, rows = ImagesPlan(request, rest_of_generation), list[int]()
    for cut in [*cuts, 1000]:
        asked = plan.next_request().generation
        started = image_pb2.ImagesStarted(seed=5, count=asked.count)
        for index in range(min(cut, asked.count)):
            message = image_pb2.StreamImagesResponse(images=[image_pb2.Image(index=asked.first_index + index)])
            if index == 0:
                message.started.CopyFrom(started)
            rows.extend(picture.index for picture in plan.receive(message))
        if plan.complete:
            break
    assert rows == list(range(first, first + count))


def test_the_first_request_is_left_as_it_was() -> None:
    request = text_pb2.StreamTextRequest()
    before = request.SerializeToString()
    plan = TextPlan(request)
    started = text_pb2.TextStarted(seed=4)
    plan.receive(text_pb2.StreamTextResponse(started=started, chunks=[text_pb2.TextChunk(token_ids=[1], text="b")]))
    assert plan.next_request().generation.seed == 4
    assert request.SerializeToString() == before


def test_a_stream_that_goes_on_with_an_older_one_has_begun() -> None:
    request = text_pb2.StreamTextRequest()
    assert not TextPlan(request).begun
    request.generation.received_token_ids.append(1)
    assert TextPlan(request).begun
