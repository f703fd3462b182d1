"""The known answers of docs/determinism.md are what this server draws."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from rhapsode_server.models.denoiser import fresh_noise
from rhapsode_server.models.latents import Draw, Prior, draw
from rhapsode_server.models.noise import Purpose, choice, philox, token_uniforms, words
from rhapsode_server.repository.verify import PERMUTATION, RUNS

PAGE = (Path(__file__).parents[2] / "docs" / "determinism.md").read_text(encoding="utf-8")
GENERATOR = re.findall(r"^\| `(.{17})` \| `(.{35})` \| `(.{35})` \|$", PAGE, re.MULTILINE)
NUMBERS = re.findall(r"^\| (\d+) \| (\d+) \| ([a-z0-9 ,]+) \| `([0-9a-f ]+)` \|$", PAGE, re.MULTILINE)


def bits(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> str:
    return " ".join(f"{word:08x}" for word in values.view(np.uint32))


DRAWS: Mapping[str, Callable[[int, int], str]] = {
    "token words": lambda seed, row: " ".join(f"{word:08x}" for word in words(seed, row, Purpose.TOKEN, 0, 4)),
    "latent words": lambda seed, row: " ".join(f"{word:08x}" for word in words(seed, row, Purpose.LATENT, 0, 4)),
    "token uniforms": lambda seed, row: bits(token_uniforms(seed, row, 0, 4)),
    "latent, normal": lambda seed, row: bits(draw(Draw(seed, row), 4, Prior.NORMAL)),
    "latent, uniform": lambda seed, row: bits(draw(Draw(seed, row), 4, Prior.UNIFORM)),
    "class of 10": lambda seed, row: str(choice(seed, row, 10)),
    "noise of step 5, 784 numbers": lambda seed, row: bits(fresh_noise([Draw(seed, row)], [5], 784)[0, :4]),
}


def test_the_page_has_its_tables() -> None:
    assert len(GENERATOR) == 3
    assert [what for *_, what, _ in NUMBERS[: len(DRAWS)]] == sorted(DRAWS, key=lambda what: PAGE.index(what))
    assert len(NUMBERS) == 2 * len(DRAWS)


@pytest.mark.parametrize(("key", "counter", "output"), GENERATOR)
def test_the_generator(key: str, counter: str, output: str) -> None:
    first, second = (int(word, 16) for word in key.split())
    counters = np.array([[int(word, 16) for word in counter.split()]], dtype=np.uint32)
    assert " ".join(f"{word:08x}" for word in philox((first, second), counters)[0]) == output


@pytest.mark.parametrize(("seed", "row", "what", "numbers"), NUMBERS)
def test_the_numbers_of_a_row(seed: str, row: str, what: str, numbers: str) -> None:
    assert DRAWS[what](int(seed), int(row)) == numbers


def test_the_permutation() -> None:
    assert "(7 i + 5) mod 33" in PAGE
    assert tuple((7 * i + 5) % 33 for i in range(33)) == PERMUTATION == RUNS[-1]
