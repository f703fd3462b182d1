"""The parts of the command line that need no server."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence
from rich.console import Console

from client.scripted import token
from rhapsode_client.cli.animation import save_animation
from rhapsode_client.cli.endless import SEEDS, first_leg, next_leg
from rhapsode_client.cli.morph import keyframe
from rhapsode_client.cli.options import image_class
from rhapsode_client.cli.score import score_table
from rhapsode_client.cli.seeds import seed_list
from rhapsode_client.cli.sheet import Labelled, contact_sheet, scaled
from rhapsode_client.cli.terminal import plain
from rhapsode_client.types import FinishReason, ModelLimits, TextScore

LIMITS = ModelLimits(
    prompt_tokens=6,
    generated_tokens=10,
    candidates=4,
    images_per_reply=0,
    images_per_stream=0,
    request_bytes=0,
    response_bytes=0,
)


@pytest.mark.parametrize(
    ("written", "seeds"), [("0", (0,)), ("0,1,4-6", (0, 1, 4, 5, 6)), (" 3 , 2", (3, 2)), ("7-7", (7,))]
)
def test_seed_lists(written: str, seeds: tuple[int, ...]) -> None:
    assert seed_list(written) == seeds


@pytest.mark.parametrize("written", ["", "a", "1,", "3-1", "1-", "-1", "1-99999", "1-2-3", "²"])
def test_seed_lists_that_are_none(written: str) -> None:
    with pytest.raises(typer.BadParameter):
        seed_list(written)


def test_classes_and_keyframes_are_read_as_people_mean_them() -> None:
    assert [image_class(value) for value in (None, "3", "dot")] == [None, 3, "dot"]
    assert [keyframe(value) for value in ("12", "me.png")] == [12, Path("me.png")]


def test_a_sheet_has_a_cell_for_each_picture() -> None:
    pictures = [Labelled(Image.new("L", (8, 8), 10 * index), f"#{index}") for index in range(5)]
    sheet = contact_sheet(pictures, "m@1", columns=None, scale=4)
    pixels = np.asarray(sheet.convert("L"))
    assert all((pixels == 10 * index).sum() >= 32 * 32 for index in range(1, 5))
    narrow = contact_sheet(pictures, "m@1", columns=1, scale=4)
    assert narrow.width < sheet.width
    assert narrow.height > sheet.height


def test_scale_keeps_pixels_square() -> None:
    picture = Image.new("RGB", (2, 1))
    picture.putpixel((1, 0), (255, 0, 0))
    assert np.asarray(scaled(picture, 3))[:, 3:].reshape(-1, 3).tolist() == [[255, 0, 0]] * 9
    assert scaled(Image.new("L", (16, 16)), None).size == (96, 96)
    assert scaled(Image.new("L", (300, 300)), None).size == (300, 300)


@pytest.mark.parametrize("name", ["walk.gif", "walk.png", "walk.apng"])
def test_animations(tmp_path: Path, name: str) -> None:
    colours = ["red", "green", "blue", "white"]
    path = tmp_path / "new" / name
    save_animation([Image.new("RGB", (4, 4), colour) for colour in colours], path, frames_per_second=10)
    with Image.open(path) as animation:
        frames = [frame.convert("RGB").getpixel((0, 0)) for frame in ImageSequence.Iterator(animation)]
        assert animation.info["duration"] == 100
        assert animation.info["loop"] == 0
    assert frames == [Image.new("RGB", (1, 1), colour).getpixel((0, 0)) for colour in colours]


def test_a_table_of_scores_shows_the_beginning_of_a_text_as_it_is() -> None:
    score = TextScore((1,), (), -2.0, 1, 1, 2.885, 7.389)
    page = io.StringIO()
    Console(file=page, width=120).print(score_table([score, score], ["[bold]\tx", "a" * 61]))
    _, first, second = page.getvalue().splitlines()
    assert first.split() == [r"'[bold]\tx'", "1", "2.885", "7.389"]
    assert second.split()[0] == f"'{'a' * 60}'…"


def test_plain_values() -> None:
    @dataclass(frozen=True)
    class Record:
        reason: FinishReason
        numbers: tuple[float, ...]
        array: object
        nothing: None = None

    record = Record(FinishReason.MAX_TOKENS, (1.5, float("nan")), np.array([1, 2], dtype=np.float32))
    assert json.loads(json.dumps(plain({"r": record}))) == {
        "r": {"reason": "max_tokens", "numbers": [1.5, None], "array": [1.0, 2.0], "nothing": None}
    }
    with pytest.raises(TypeError):
        plain(object())


def generate(seed: int, received: tuple[int, ...], max_tokens: int) -> tuple[int, ...]:
    return tuple(token(seed, 0, index) for index in range(len(received), max_tokens))


@settings(deadline=None)
@given(step=st.one_of(st.none(), st.integers(1, 15)), legs=st.integers(1, 12), seed=st.integers(0, SEEDS - 1))
def test_an_endless_text_stays_within_the_limits(step: int | None, legs: int, seed: int) -> None:
    leg = first_leg("abc", step, seed, LIMITS)
    prompt_ids: tuple[int, ...] = (1, 2, 3)
    by_seed: dict[int, list[int]] = {}
    for _ in range(legs):
        assert leg.seed is not None
        assert len(leg.received) < leg.max_tokens <= LIMITS.generated_tokens
        if not isinstance(leg.prompt, str):
            prompt_ids = tuple(leg.prompt)
            assert len(prompt_ids) <= LIMITS.prompt_tokens
        tokens = generate(leg.seed, leg.received, leg.max_tokens)
        assert 0 < len(tokens) <= (step or LIMITS.generated_tokens)
        assert tuple(by_seed.setdefault(leg.seed, [])) == leg.received
        by_seed[leg.seed].extend(tokens)
        leg = next_leg(leg, prompt_ids, tokens, leg.seed, step, LIMITS)
    # Under one seed the text is what one long request would have given.
    for used, tokens_of in by_seed.items():
        assert tuple(tokens_of) == generate(used, (), len(tokens_of))


def test_beyond_the_limit_the_text_goes_on_from_its_last_tokens() -> None:
    leg = first_leg("abc", 8, 5, LIMITS)
    leg = next_leg(leg, (1, 2, 3), (10, 11, 12, 13, 14, 15, 16, 17), 5, 8, LIMITS)
    assert (leg.prompt, len(leg.received), leg.max_tokens, leg.seed) == ("abc", 8, 10, 5)
    leg = next_leg(leg, (1, 2, 3), (18, 19), 5, 8, LIMITS)
    assert (leg.prompt, leg.received, leg.max_tokens, leg.seed) == ((14, 15, 16, 17, 18, 19), (), 8, 6)


def test_a_short_leg_keeps_some_of_the_prompt() -> None:
    small = ModelLimits(6, 2, 1, 0, 0, 0, 0)
    leg = next_leg(first_leg("abc", None, 5, small), (1, 2, 3), (10, 11), 5, None, small)
    assert leg.prompt == (1, 2, 3, 10, 11)
