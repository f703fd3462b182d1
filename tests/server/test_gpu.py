"""The shipped models as they are served: on the CPU, on the CPU as on a GPU, and on a GPU where there is one."""

import asyncio
import io
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from PIL import Image
from safetensors import numpy as safetensors

from rhapsode.v1 import image_pb2, text_pb2
from rhapsode.v1.image_pb2 import DecodeLatentsRequest, Latent
from rhapsode.v1.model_pb2 import GetModelRequest, ListModelsRequest, ModelRuntime
from rhapsode_server.config import Config
from rhapsode_server.errors import ProviderError
from rhapsode_server.observe.logs import open_log
from rhapsode_server.repository.verify import DEFAULT_TOLERANCE
from rhapsode_server.runtime.providers import CPU, CUDA
from rhapsode_server.serve import loading
from support.requests import generate_images, generate_text, images, pixels, stream_images, stream_text, text
from support.server import Loaded, Running, clean_environment, command, running

MODELS = Path(__file__).resolve().parents[2] / "models"
Settings: TypeAlias = dict[str, str | bool]
AS_ON_A_GPU = {"step_form": "unrolled", "batch_buckets": "16"}  # what a GPU is given unasked
PLACES = (
    pytest.param({"provider": "cpu"}, id="cpu"),
    pytest.param({"provider": "cpu", **AS_ON_A_GPU}, id="cpu-as-gpu"),
    pytest.param({"provider": "cuda", "require_gpu": True}, id="cuda", marks=pytest.mark.gpu),
)
SAMPLING = text_pb2.Sampling(temperature=0.8, top_k=40, top_p=0.95, repetition_penalty=1.1)
DECODERS = ("digits-gan", "faces-vae")


@pytest.fixture(scope="module", params=PLACES)
def settings(request: pytest.FixtureRequest) -> Settings:
    return dict(request.param)


@pytest.fixture(scope="module")
def shipped(settings: Settings) -> Loaded:
    """The shipped models, whose goldens have been run in this place."""
    try:
        return load(settings)
    except ProviderError as error:
        if settings["provider"] == "cpu":
            raise
        pytest.skip(f"no GPU: {error.message}")


@pytest.fixture
async def server(shipped: Loaded) -> AsyncIterator[Running]:
    async with running(shipped) as started:
        yield started


async def test_every_model_says_where_it_runs(shipped: Loaded, settings: Settings) -> None:
    provider = CPU if settings["provider"] == "cpu" else CUDA
    async with running(shipped, metrics_address="127.0.0.1:0") as server:
        models = (await server.model.ListModels(ListModelsRequest())).models
        page = await server.page()
    assert {model.name for model in models} >= {*DECODERS, "shakespeare-rnn"}
    assert {model.runtime.provider for model in models} == {provider}
    assert {model.runtime.provider_fallback_reason for model in models} == {""}
    assert f'rhapsode_provider_fallback{{provider="{provider}"}} 0.0' in page


def test_the_steps_are_fused_in_the_form_for_the_place(shipped: Loaded, settings: Settings) -> None:
    wanted = "loop" if settings == {"provider": "cpu"} else "unrolled"
    model = shipped.models.find("shakespeare-rnn")
    assert (model.form, model.unfused_reason) == (wanted, "")


@pytest.mark.parametrize("model", DECODERS)
async def test_golden_latents_become_the_golden_pictures(server: Running, model: str) -> None:
    goldens = safetensors.load_file(MODELS / model / "1/goldens.safetensors")
    classes = goldens.get("decode.inputs.class_id")
    asked = DecodeLatentsRequest(model=model, format=image_pb2.IMAGE_FORMAT_RAW_FLOAT32)
    if classes is not None:  # a request has one class for all of its latents
        asked.image_class.id = int(classes[0])
    rows = slice(None) if classes is None else classes == classes[0]
    asked.latents.extend(Latent(values=row) for row in goldens["decode.inputs.latent"][rows])
    drawn = [image async for message in server.image.DecodeLatents(asked) for image in message.images]
    given = np.stack([np.frombuffer(each.data, "<f4").reshape(each.height, each.width, -1) for each in drawn])
    wanted = goldens["decode.outputs.image"][rows].transpose(0, 2, 3, 1)
    assert np.abs(given - wanted).max() <= DEFAULT_TOLERANCE


async def test_a_text_is_the_same_again_and_streamed(server: Running) -> None:
    first, again = [(await generate_text(server, play(60))).candidates[0].text for _ in range(2)]
    streamed = "".join(chunk.text for message in await stream_text(server, play(60)) for chunk in message.chunks)
    assert first == again == streamed


async def test_a_sheet_of_pictures_is_the_same_again(server: Running) -> None:
    sheet = images(64, model="digits-gan", format=image_pb2.IMAGE_FORMAT_PNG)
    first, again = [pixels([await generate_images(server, sheet)]) for _ in range(2)]
    assert first == again
    assert {Image.open(io.BytesIO(png)).size for png in first} == {(28, 28)}
    assert len(set(first)) == 64


async def test_a_text_is_the_same_in_company(server: Running) -> None:
    await needs_batch_invariance(server, "shakespeare-rnn")
    alone = (await generate_text(server, play(60))).candidates[0].text
    others = [asyncio.create_task(stream_text(server, play(10 + 3 * number, seed=number))) for number in range(16)]
    crowded = await generate_text(server, play(60))
    await asyncio.gather(*others)
    assert crowded.candidates[0].text == alone


@pytest.mark.parametrize("model", DECODERS)
async def test_pictures_are_the_same_in_company_and_streamed(server: Running, model: str) -> None:
    await needs_batch_invariance(server, model)
    alone = pixels([await generate_images(server, images(20, model=model))])
    others = [
        asyncio.create_task(stream_images(server, images(5 + number, model=model, seed=number))) for number in range(16)
    ]
    streamed = await stream_images(server, images(20, model=model))
    await asyncio.gather(*others)
    assert pixels(streamed) == alone


def test_a_start_that_requires_a_gpu_and_sees_none_is_refused() -> None:
    words = command("--models", str(MODELS), "--provider", "auto", "--require-gpu", "--check")
    blind = clean_environment() | {"CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(words, capture_output=True, text=True, env=blind)
    assert done.returncode == 1
    assert f"{CUDA} cannot be used: " in done.stderr


def test_another_start_gives_the_same_fingerprints(shipped: Loaded, settings: Settings) -> None:
    first, second = ([model.fingerprint for model in loaded.models.models] for loaded in (shipped, load(settings)))
    assert first == second


def load(settings: Settings) -> Loaded:
    """Load the shipped models as the server does; its batches and runs are small so that loading is quick."""
    config = Config.model_validate({"models": MODELS, "threads": 1, "max_batch": 16, "run_steps": 4, **settings})
    return Loaded(*loading.load(config, open_log("info", "json", "0", io.StringIO())))


def play(tokens: int, **fields: object) -> text_pb2.TextGeneration:
    return text(tokens, **({"model": "shakespeare-rnn", "text": "ROMEO.\n", "sampling": SAMPLING} | fields))


async def needs_batch_invariance(server: Running, model: str) -> None:
    """Skip where the server says that company may change this model's bytes: the promise is made where it does not."""
    told: ModelRuntime = (await server.model.GetModel(GetModelRequest(model=model))).model.runtime
    if not told.batch_invariant:
        pytest.skip(f"{model} is not batch-invariant on {told.provider}, and GetModel says so")
