"""Requests that are refused, or fail, in one window with sound ones: these have the answers that they have alone."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from rhapsode.v1.image_pb2 import Latent, Latents
from rhapsode.v1.text_pb2 import LogitBias, Sampling
from support.bundles import autoencoder, stepper
from support.refusals import refusal
from support.requests import generate_images, generate_text, images, pixels, text
from support.server import Running, load, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUNDS = 10
BAD = 4  # beside each sound one
NAN = float("nan")
BREAKING = Sampling(logit_bias=[LogitBias(token_id=27, bias=100)])  # "z", after which the logits are NaN


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    models: Path = tmp_path_factory.mktemp("models")
    autoencoder().write(models)
    stepper(nan_after="z").write(models)
    async with running(load(models), batch_delay_ms=20) as started:  # long enough for one batch of all
        yield started


async def reasons(*calls: Awaitable[object]) -> list[str]:
    """Why each was refused."""
    ended = await asyncio.gather(*calls, return_exceptions=True)
    return [refusal(one).info.reason if isinstance(one, grpc.RpcError) else repr(one) for one in ended]


async def test_a5_latents_of_nan_beside_sound_ones_leave_these_bit_for_bit(server: Running) -> None:
    wrong = (NAN, float("inf"), 1e30, -1e30)
    for seed in range(ROUNDS):
        alone = pixels([await generate_images(server, images(seed=seed))])
        refused = [
            generate_images(server, images(count=None, latents=Latents(latents=[Latent(values=[value] * 8)])))
            for value in wrong
        ]
        beside, said = await asyncio.gather(generate_images(server, images(seed=seed)), reasons(*refused))
        assert pixels([beside]) == alone
        assert said == ["INVALID_FIELD"] * len(wrong)


async def test_a6_rows_that_turn_out_as_nan_end_their_request_and_change_no_row_beside_them(server: Running) -> None:
    for seed in range(ROUNDS):
        asked = text(12, seed=seed, sampling=Sampling(logit_bias=[LogitBias(token_id=27, bias=-100)]))
        alone = (await generate_text(server, asked)).candidates
        failing = [generate_text(server, text(12, seed=seed, sampling=BREAKING)) for _ in range(BAD)]
        beside, said = await asyncio.gather(generate_text(server, asked), reasons(*failing))
        assert beside.candidates == alone
        assert said == ["NON_FINITE_OUTPUT"] * BAD
    lane = r'^rhapsode_nonfinite_outputs_total{model="tiny-text",role="step",.*} (\S+)$'
    counted = re.findall(lane, await server.page(), re.MULTILINE)
    assert [float(value) for value in counted] == [ROUNDS * BAD]
