"""Classes of texts through the library: from a real server, over one that falters, at the terminal."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from client.scripted import Break, Script, serving
from rhapsode.v1 import text_pb2 as pb
from rhapsode_client import (
    AsyncClient,
    Capability,
    ChannelSettings,
    Client,
    InvalidRequest,
    KeepBestText,
    TextChoice,
    UnexpectedReply,
    Unsupported,
)
from rhapsode_client.cli.main import build
from rhapsode_client.convert import classify, score, text
from rhapsode_client.types import SequenceClass, TextOptions
from support import bundles
from support.server import process
from support.text_bundles import CLASSES, headlines, text_critic

BEST = KeepBestText(drawn=8, critic="tiny-taste", class_name="bait")
ALL: TextOptions = {"seed": 3, "temperature": 3.0, "max_tokens": 20, "candidate_count": 8, "class_name": "news"}
CHOSEN: TextOptions = {**ALL, "candidate_count": 2, "keep_best": BEST}


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server of models that know classes, as a process of its own."""
    models = tmp_path_factory.mktemp("models")
    for draft in (headlines(), text_critic(), bundles.stepper()):
        draft.write(models)
    with process(models) as server:
        yield server.address


def test_every_option_reaches_its_field() -> None:
    message = text.generation("m", "a", {"class_name": "news", "keep_best": BEST})
    assert message.class_name == "news"
    assert message.keep_best == pb.KeepBestText(drawn=8, critic="tiny-taste", class_name="bait")
    assert not text.generation("m", "a", {}).HasField("keep_best")
    assert [one.class_name for one in score.request("m", ["a", [1]], 0, "news").inputs] == ["news", "news"]
    assert classify.request("m", ["a"]) == pb.ClassifyTextRequest(model="m", inputs=[pb.ScoreInput(text="a")])
    with pytest.raises(InvalidRequest, match=r"keep_best\.drawn"):
        text.generation("m", "a", {"keep_best": KeepBestText(drawn=-1)})
    with pytest.raises(InvalidRequest, match="not one text"):
        classify.request("m", "one text")
    with pytest.raises(UnexpectedReply):
        classify.result(pb.ClassifyTextResponse())
    assert text.finished(pb.TextFinished()).choice is None


def test_the_best_are_told_with_their_choice_streamed_or_not(taught: str) -> None:
    with Client(taught) as client:
        whole = client.generate_text("tiny-headlines", "a", **CHOSEN)
        every = client.generate_text("tiny-headlines", "a", **ALL)
        with client.stream_text("tiny-headlines", "a", **CHOSEN) as stream:
            chunks = list(stream)
    choices = [one.finished.choice for one in whole.candidates]
    assert [end.choice for end in stream.finished] == choices
    for rank, one in enumerate(whole.candidates):
        assert isinstance(one.finished.choice, TextChoice)
        assert one.text == every.candidates[one.finished.choice.row].text
        assert "".join(chunk.text for chunk in chunks if chunk.candidate == rank) == one.text


async def test_the_asynchronous_client_gives_the_same(taught: str) -> None:
    with Client(taught) as client:
        judged = client.classify_text("tiny-taste", ["the end", [1, 2]])
        scored = client.score("tiny-headlines", ["a"], class_name="bait")
        made = client.generate_text("tiny-headlines", **CHOSEN)
    async with AsyncClient(taught) as aclient:
        assert await aclient.classify_text("tiny-taste", ["the end", [1, 2]]) == judged
        assert await aclient.score("tiny-headlines", ["a"], class_name="bait") == scored
        again = await aclient.generate_text("tiny-headlines", **CHOSEN)
        streamed = [chunk async for chunk in aclient.stream_text("tiny-headlines", **CHOSEN)]
    assert [one.text for one in again.candidates] == [one.text for one in made.candidates]
    assert "".join(chunk.text for chunk in streamed) == "".join(one.text for one in made.candidates)
    assert (judged.classes, [one.token_count for one in judged.classifications]) == (("news", "bait", "verse"), [7, 2])
    assert sum(judged.classifications[0].class_probabilities) == pytest.approx(1.0)
    assert scored.scores[0].scored_token_count == 1


def test_models_tell_their_classes(taught: str) -> None:
    with Client(taught) as client:
        sequence = client.model("tiny-headlines").sequence
        critic = client.model("tiny-taste")
        with pytest.raises(Unsupported):
            client.classify_text("tiny-headlines", ["a"])
        with pytest.raises(InvalidRequest, match="'news', 'bait'"):
            client.score("tiny-headlines", ["a"], class_name="verse")
    assert sequence is not None
    assert sequence.classes == tuple(SequenceClass(name, prefix) for name, prefix in CLASSES.items())
    assert (critic.capabilities, critic.limits.prompt_tokens) == (
        (Capability.CLASSIFY_TEXT, Capability.TOKENIZE_TEXT),
        12,
    )


def test_classifying_is_retried_by_grpc(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(0), Break(0)])
    with serving(script, socket) as address, Client(address, eager) as client:
        assert client.classify_text("m", ["ab"]).classifications[0].token_count == 2
    assert len(script.requests) == 3


@pytest.mark.parametrize("count", [1, 2])
def test_a_broken_stream_of_the_best_is_repeated_whole(socket: Path, eager: ChannelSettings, count: int) -> None:
    script = Script(breaks=[Break(3), Break(5)])
    with serving(script, socket) as address, Client(address, eager) as client:
        best = KeepBestText(drawn=4)
        chunks = list(client.stream_text("m", candidate_count=count, max_tokens=6, keep_best=best))
    asked = [request.generation for request in script.requests if isinstance(request, pb.StreamTextRequest)]
    assert len(asked) == 3
    assert not any(one.received_token_ids for one in asked)
    assert len({one.seed for one in asked[1:]}) == 1
    for candidate in range(count):
        ids = [token for chunk in chunks if chunk.candidate == candidate for token in chunk.token_ids]
        assert len(ids) == 6


def run(address: str, *words: str) -> str:
    result = CliRunner().invoke(build(), [*words, "--address", address])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_commands_ask_and_tell_of_classes(taught: str) -> None:
    critic = ("--keep-best", "8", "--critic", "tiny-taste", "--critic-class", "bait")
    asked = ("text", "tiny-headlines", "a", "--class", "news", "--seed", "3", "--temperature", "3", *critic)
    lines = [json.loads(line) for line in run(taught, *asked, "--json").splitlines()]
    assert [set(line["choice"]) for line in lines if line["type"] == "finished"] == [{"row", "score"}]
    assert "── candidate 1, row " in run(taught, *asked, "--candidates", "2", "--max-tokens", "5")
    scored = json.loads(run(taught, "score", "tiny-headlines", "a", "--class", "bait", "--json"))
    assert scored["scored_token_count"] == 1
    judged = json.loads(run(taught, "classify", "tiny-taste", "the end", "--json"))
    assert (judged["type"], list(judged["class_probabilities"])) == ("classification", ["news", "bait", "verse"])
    table = run(taught, "classify", "tiny-taste", "the end", "a", "--top", "1")
    assert "'the end'" in table
    assert "news, bait" in run(taught, "models", "tiny-headlines")
    shown = run(taught, "models", "tiny-taste")
    assert "judgements of text" in shown
    assert "12 tokens in a text" in shown


@pytest.mark.parametrize(
    "words",
    [
        ("text", "m", "--critic", "c"),
        ("text", "m", "--critic", "c", "--critic-class", "d"),
        ("text", "m", "--keep-best", "4", "--critic-class", "d"),
        ("text", "m", "--endless", "--keep-best", "4"),
    ],
)
def test_options_that_lack_another_are_wrong_usage(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(build(), list(words)).exit_code == 2


def test_an_endless_text_of_a_class_leaves_room_for_its_prefix(taught: str) -> None:
    words = ("text", "tiny-headlines", "a", "--class", "news", "--endless", "--seed", "4", "--temperature", "3")
    assert run(taught, *words)  # until the end token comes
