"""Diffusion through both clients and the command line, against a real server."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rhapsode.v1 import image_pb2 as pb
from rhapsode_client import (
    AsyncClient,
    Client,
    DiffusionOptions,
    DiffusionSampler,
    ImageFormat,
    InvalidRequest,
    ModelKind,
    Picture,
    Unsupported,
)
from rhapsode_client.cli.main import build
from rhapsode_client.convert.images import generation
from rhapsode_client.resume.images import ImagesPlan, rest_of_generation
from support import bundles
from support.server import process

MODEL = "tiny-noise"
RAW = ImageFormat.RAW_FLOAT32
# A preview that is overtaken is not sent, but of hundreds of runs some are slow enough on any machine.
PREVIEWED = DiffusionOptions(steps=40, preview_every=1)
MANY = 400


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = tmp_path_factory.mktemp("models")
    bundles.diffusion().write(models)
    bundles.grey_generator().write(models)
    with process(models) as server:
        yield server.address


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as connected:
        yield connected


def test_what_a_model_says(client: Client) -> None:
    (listed,) = [model for model in client.models() if model.name == MODEL]
    whole = client.model(MODEL)
    assert listed.kind is ModelKind.DIFFUSION
    assert listed.diffusion is not None
    assert whole.diffusion is not None
    assert (listed.diffusion.training_steps, listed.diffusion.default_steps, listed.diffusion.signal) == (40, 5, ())
    assert len(whole.diffusion.signal) == 40
    assert whole.diffusion.default_guidance == 1.5
    assert client.model("tiny-digits").diffusion is None


def test_options_are_those_of_the_wire(client: Client) -> None:
    usual = client.generate_images(MODEL, seed=1, format=RAW).pictures[0].data
    spelt = DiffusionOptions(5, DiffusionSampler.DDIM, 0.0, 1.5)
    assert client.generate_images(MODEL, seed=1, format=RAW, diffusion=spelt).pictures[0].data == usual
    fresh = DiffusionOptions(sampler=DiffusionSampler.ANCESTRAL)
    assert client.generate_images(MODEL, seed=1, format=RAW, diffusion=fresh).pictures[0].data != usual
    message = generation(MODEL, {"diffusion": DiffusionOptions(eta=0.5, guidance=2.0, preview_every=3)}).diffusion
    assert (message.eta, message.guidance, message.preview_every, message.HasField("steps")) == (0.5, 2.0, 3, False)


def test_previews_of_a_stream(client: Client) -> None:
    previews: list[Picture] = []
    stream = client.stream_images(
        MODEL, seed=1, count=MANY, format=RAW, diffusion=PREVIEWED, on_preview=previews.append
    )
    pictures = list(stream)
    assert [picture.index for picture in pictures] == list(range(MANY))
    assert all(picture.steps_taken is None for picture in pictures)
    assert all(0 <= picture.index < MANY and 1 <= (picture.steps_taken or 0) < 40 for picture in previews)
    assert previews[0].array().shape == (8, 8, 1)


async def test_previews_of_an_asynchronous_stream(address: str) -> None:
    previews: list[Picture] = []
    async with AsyncClient(address) as client:
        stream = client.stream_images(MODEL, seed=1, count=MANY, diffusion=PREVIEWED, on_preview=previews.append)
        assert [picture.index async for picture in stream] == list(range(MANY))
    assert previews


def test_a_stream_that_nobody_watches_passes_previews_over(client: Client) -> None:
    assert len(list(client.stream_images(MODEL, count=3, diffusion=PREVIEWED))) == 3


def test_a_continued_stream_counts_pictures_and_not_previews() -> None:
    seen: list[int] = []
    request = pb.StreamImagesRequest(generation=pb.ImageGeneration(model=MODEL, seeds=pb.Seeds(seeds=[5, 6, 7])))
    plan = ImagesPlan(request, rest_of_generation, lambda preview: seen.append(preview.index))
    begun = pb.ImagesStarted(model=MODEL, count=3)
    previews = [pb.Image(index=0, steps_taken=4), pb.Image(index=1, steps_taken=4)]
    got = plan.receive(pb.StreamImagesResponse(started=begun, images=[pb.Image(index=0)], previews=previews))
    assert [picture.index for picture in got] == [0]
    assert list(plan.next_request().generation.seeds.seeds) == [6, 7]
    plan.receive(pb.StreamImagesResponse(started=begun, previews=[pb.Image(index=0, steps_taken=8)]))
    assert seen == [0, 1, 1]
    assert not plan.complete


def test_what_cannot_be_is_refused(client: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.generate_images(MODEL, diffusion=DiffusionOptions(eta=math.nan))
    assert caught.value.field_violations[0].field == "generation.diffusion.eta"
    with pytest.raises(InvalidRequest, match="whole number"):
        client.generate_images(MODEL, diffusion=DiffusionOptions(steps=2.5))  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="StreamImages"):
        client.generate_images(MODEL, diffusion=PREVIEWED)
    with pytest.raises(Unsupported):
        client.generate_images("tiny-digits", diffusion=DiffusionOptions(steps=3))


def run(address: str, *words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(build(), words, env={"RHAPSODE_ADDRESS": address})
    return done.exit_code, done.stdout, done.stderr


def test_the_command_writes_pictures_and_what_they_were_on_the_way(address: str, tmp_path: Path) -> None:
    flags = ("--count", "200", "--seed", "3", "--class", "bar", "--steps", "40", "--guidance", "2", "--sampler", "ddim")
    where = ("--out-dir", str(tmp_path), "--preview-every", "1", "--eta", "0.5", "--json")
    code, out, _ = run(address, "images", MODEL, *flags, *where)
    assert code == 0
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["index"] for record in records if "steps_taken" not in record] == list(range(200))
    files = {path.name for path in tmp_path.iterdir()}
    assert files > {f"tiny-noise-seed3-{number:05}.png" for number in range(200)}
    assert all(name.startswith("tiny-noise-seed3-00") for name in files)
    assert files == {Path(record["file"]).name for record in records}


def test_a_sheet_has_no_place_for_previews(address: str) -> None:
    code, _, error = run(address, "images", MODEL, "--preview-every", "4")
    assert code == 2
    assert "--out-dir" in error


def test_the_command_describes_the_model(address: str) -> None:
    _, out, _ = run(address, "models", MODEL)
    assert "5 of 40 steps, guidance 1.5" in out
