"""What the trained text model thinks likely, and that generating and scoring agree on it."""

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from house.project import ROOT
from support.requests import generate_text, score, stream_text, text
from support.server import Running, load, running

MODEL = "shakespeare-rnn"
LINE = "Shall I compare thee to a summer's day?"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    models: Path = tmp_path_factory.mktemp("models")
    shutil.copytree(ROOT / "models" / MODEL, models / MODEL)
    async with running(load(models)) as started:
        yield started


async def test_a_line_is_likelier_than_its_characters_in_another_order(server: Running) -> None:
    shuffled = "".join(random.Random(1).sample(LINE, len(LINE)))
    line, other = (await score(server, LINE, shuffled, model=MODEL)).scores
    assert line.scored_character_count == other.scored_character_count == len(LINE)
    assert line.bits_per_character < 3 < 5 < other.bits_per_character


async def test_generating_and_scoring_tell_the_same_alone_and_in_company(server: Running) -> None:
    asked = text(50, model=MODEL, text="", logprobs=3)
    chunk = (await generate_text(server, asked)).candidates[0]
    (alone,) = (await score(server, chunk.text, model=MODEL, top_logprobs=3)).scores
    others = [asyncio.create_task(stream_text(server, text(40, model=MODEL, text="O", seed=seed))) for seed in range(5)]
    inputs = [LINE[: 1 + 3 * number] for number in range(12)]
    crowded = await score(server, *inputs[:7], chunk.text, *inputs[7:], model=MODEL, top_logprobs=3)
    await asyncio.gather(*others)
    assert (alone.token_ids, alone.logprobs) == (chunk.token_ids, chunk.logprobs)
    assert crowded.scores[7] == alone
