"""Judgements and the best of many through the library and the command line, from a real server."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from client.scripted import DRAWN_SEED, Break, Script, serving
from rhapsode.v1 import image_pb2
from rhapsode_client import (
    AsyncClient,
    Capability,
    ChannelSettings,
    Client,
    ImageFormat,
    InvalidRequest,
    KeepBest,
    ModelKind,
    UnexpectedReply,
    Unsupported,
)
from rhapsode_client.cli.main import build
from rhapsode_client.convert import image_scores, images

Runner = Callable[..., Result]


@pytest.fixture
def rhapsode(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Run a command in this process and a folder of its own, without a terminal."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(build(), arguments, env={"RHAPSODE_ADDRESS": address})

    return run


def noise(count: int) -> list[Image.Image]:
    drawn = np.random.default_rng(5).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return [Image.fromarray(pixels) for pixels in drawn]


def test_options_reach_their_fields() -> None:
    asked = images.generation("m", {"keep_best": KeepBest(9, "c@2"), "truncation": 0.5, "count": 2})
    assert (asked.keep_best, asked.truncation) == (image_pb2.KeepBest(drawn=9, critic="c@2"), 0.5)
    assert images.generation("m", {"keep_best": 7}).keep_best == image_pb2.KeepBest(drawn=7)
    plain = images.generation("m", {})
    assert not plain.HasField("keep_best")
    assert not plain.HasField("truncation")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"keep_best": -1}, "keep_best.drawn"),
        ({"keep_best": KeepBest(3, "\ud800")}, "keep_best.critic"),
        ({"truncation": "much"}, "truncation"),
    ],
)
def test_what_a_field_cannot_carry_is_named(options: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        images.generation("m", options)  # type: ignore[arg-type]  # on purpose
    assert caught.value.field_violations[0].field == field


def test_a_reply_without_scores_is_none() -> None:
    with pytest.raises(UnexpectedReply):
        image_scores.result(image_pb2.ScoreImagesResponse())


def test_pictures_are_judged(address: str) -> None:
    with Client(address) as client:
        model = client.model("tiny-judge")
        result = client.score_images("tiny-judge", noise(3))
        mirrored = client.score_images("tiny-faces", noise(3))
    assert model.kind is ModelKind.CRITIC
    assert model.capabilities == (Capability.SCORE_IMAGES,)
    assert (result.model, result.version, result.fingerprint) == ("tiny-judge", 1, model.runtime.fingerprint)
    for one in result.scores:
        assert one.realness is not None
        assert one.anomaly == -one.realness
        assert float(one.class_probabilities.sum()) == pytest.approx(1.0, abs=1e-6)
    assert all(one.realness is None and one.anomaly > 0 and not len(one.class_probabilities) for one in mirrored.scores)


async def test_the_asynchronous_client_gives_the_same(address: str) -> None:
    with Client(address) as client:
        expected = client.score_images("tiny-judge", noise(2)).scores
    async with AsyncClient(address) as client:
        found = (await client.score_images("tiny-judge", noise(2))).scores
    assert [(one.realness, one.class_probabilities.tolist()) for one in found] == [
        (one.realness, one.class_probabilities.tolist()) for one in expected
    ]


def test_the_best_of_many_come_first(address: str) -> None:
    with Client(address) as client:
        best = client.generate_images("tiny-digits", seed=3, count=4, keep_best=30, format=ImageFormat.RAW_UINT8)
        streamed = list(
            client.stream_images("tiny-digits", seed=3, count=4, keep_best=30, format=ImageFormat.RAW_UINT8)
        )
        row = best.pictures[0].row
        assert row is not None
        again = client.generate_images("tiny-digits", seed=3, first_index=row, format=ImageFormat.RAW_UINT8)
    realness = [picture.realness for picture in best.pictures]
    assert realness == sorted(realness, key=lambda value: -(value or 0.0))
    assert [picture.index for picture in best.pictures] == [0, 1, 2, 3]
    assert [(one.row, one.data) for one in streamed] == [(one.row, one.data) for one in best.pictures]
    assert again.pictures[0].data == best.pictures[0].data
    assert (again.pictures[0].row, again.pictures[0].realness) == (None, None)


def test_a_broken_stream_of_the_best_goes_on_at_the_next_rank(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(2)])
    with serving(script, socket) as address, Client(address, eager) as client:
        pictures = list(client.stream_images("m", count=5, keep_best=KeepBest(50)))
    assert [picture.index for picture in pictures] == list(range(5))
    last = script.requests[-1]
    assert isinstance(last, image_pb2.StreamImagesRequest)
    asked = last.generation
    assert (asked.first_index, asked.count, asked.keep_best.drawn, asked.seed) == (2, 3, 50, DRAWN_SEED)


def test_errors(address: str) -> None:
    with Client(address) as client:
        with pytest.raises(Unsupported):
            client.score_images("tiny-text", noise(1))
        with pytest.raises(InvalidRequest, match=r"images\[1\]\.data"):
            client.score_images("tiny-judge", [noise(1)[0], b"no picture"])
        with pytest.raises(InvalidRequest, match=r"keep_best\.drawn"):
            client.generate_images("tiny-digits", count=5, keep_best=4)
        with pytest.raises(InvalidRequest, match="truncation"):
            client.generate_images("tiny-digits", truncation=float("nan"))


def test_judge_shows_a_table_or_lines(rhapsode: Runner, tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(3)]
    for name, picture in zip(names, noise(3), strict=True):
        picture.save(tmp_path / name)
    table, mirrored = rhapsode("judge", "tiny-judge", *names, "--top", "2"), rhapsode("judge", "tiny-faces", *names)
    assert table.exit_code == mirrored.exit_code == 0
    assert [heading in table.stdout for heading in ("realness", "anomaly", "likely classes")] == [True] * 3
    assert table.stdout.count("%") == 6
    assert "realness" not in mirrored.stdout
    assert "%" not in mirrored.stdout
    records = [json.loads(line) for line in rhapsode("judge", "tiny-judge", *names, "--json").stdout.splitlines()]
    assert [(record["type"], record["file"]) for record in records] == [("judgement", name) for name in names]
    assert set(records[0]["class_probabilities"]) == {"dot", "bar", "ring"}


def test_images_keeps_the_best(rhapsode: Runner) -> None:
    done = rhapsode("images", "tiny-digits", "--count", "3", "--seed", "1", "--best-of", "20", "--truncation", "0.9")
    assert done.exit_code == 0
    assert Path("tiny-digits.png").exists()
    single = rhapsode(
        "images", "tiny-digits", "--count", "3", "--seed", "1", "--best-of", "20", "--out-dir", "d", "--json"
    )
    records = [json.loads(line) for line in single.stdout.splitlines()]
    assert [record["index"] for record in records] == [0, 1, 2]
    assert all(Path(f"d/tiny-digits-seed1-best{n:05d}-row{one['row']}.png").exists() for n, one in enumerate(records))


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["images", "tiny-digits", "--critic", "tiny-judge"], 2, "best-of"),
        (["images", "tiny-digits", "--best-of", "2", "--count", "3"], 1, "drawn"),
        (["images", "tiny-digits", "--best-of", "9", "--critic", "tiny-judge"], 1, "critic"),
        (["images", "tiny-faces", "--truncation", "0"], 1, "truncation"),
        (["judge", "tiny-judge", "nowhere.png"], 1, "nowhere.png"),
        (["judge", "tiny-judge"], 2, "FILE"),
    ],
)
def test_wrong_usage_is_one_line(rhapsode: Runner, words: list[str], status: int, said: str) -> None:
    done = rhapsode(*words)
    assert done.exit_code == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
