"""Boltzmann machines through the library and the command: options, previews, steps."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rhapsode.v1 import image_pb2
from rhapsode_client import (
    AsyncClient,
    Capability,
    Client,
    GibbsOptions,
    InvalidRequest,
    ModelKind,
    Picture,
    Unsupported,
)
from rhapsode_client.cli.main import build
from rhapsode_client.convert import images
from support import bundles
from support.server import process


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = tmp_path_factory.mktemp("models")
    bundles.boltzmann().write(models)
    bundles.grey_generator().write(models)
    with process(models) as server:
        yield server.address


def test_options_reach_their_fields() -> None:
    message = images.generation("m", {"gibbs": GibbsOptions(steps=7, preview_every=2)})
    assert message.gibbs == image_pb2.GibbsOptions(steps=7, preview_every=2)
    assert images.generation("m", {"gibbs": GibbsOptions()}).HasField("gibbs")
    assert not images.generation("m", {}).HasField("gibbs")
    with pytest.raises(InvalidRequest, match=r"gibbs\.steps"):
        images.generation("m", {"gibbs": GibbsOptions(steps=-1)})


def test_a_stream_tells_its_previews(chains: str) -> None:
    with Client(chains) as client:
        model = client.model("tiny-chain")
        assert (model.kind, model.capabilities) == (ModelKind.BOLTZMANN, (Capability.GENERATE_IMAGES,))
        assert model.gibbs is not None
        assert model.gibbs.default_steps == 5
        previews: list[Picture] = []
        asked = GibbsOptions(steps=90, preview_every=2)  # previews may be overtaken, but not those of so many pictures
        stream = client.stream_images("tiny-chain", count=400, seed=1, gibbs=asked, on_preview=previews.append)
        finished = list(stream)
        assert {picture.steps_taken for picture in previews} <= set(range(2, 90, 2))
        assert previews
        whole = client.generate_images("tiny-chain", count=400, seed=1, gibbs=GibbsOptions(steps=90))
        assert [picture.data for picture in finished] == [picture.data for picture in whole.pictures]
        with pytest.raises(Unsupported):
            client.generate_images("tiny-digits", gibbs=GibbsOptions())


async def test_the_same_with_asyncio(chains: str) -> None:
    async with AsyncClient(chains) as client:
        stream = client.stream_images("tiny-chain", count=3, seed=1, image_class="ring", gibbs=GibbsOptions(steps=3))
        streamed = [picture.data async for picture in stream]
        whole = await client.generate_images("tiny-chain", count=3, seed=1, image_class=2, gibbs=GibbsOptions(3))
    assert streamed == [picture.data for picture in whole.pictures]


def test_the_command_takes_steps_where_a_model_does(chains: str, tmp_path: Path) -> None:
    words = ["images", "tiny-chain", "--steps", "3", "--seed", "1", "--address", chains]
    done = CliRunner().invoke(build(), [*words, "--out", str(tmp_path / "x.png"), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["pictures"] == 1
    refused = CliRunner().invoke(build(), ["images", "tiny-digits", "--steps", "3", "--address", chains])
    assert refused.exit_code == 2
    assert "single step" in refused.output


def test_the_command_writes_what_pictures_were_on_the_way(chains: str, tmp_path: Path) -> None:
    words = ["images", "tiny-chain", "--count", "200", "--steps", "90", "--preview-every", "2", "--seed", "1"]
    words += ["--address", chains]
    assert CliRunner().invoke(build(), words).exit_code == 2  # no folder
    assert CliRunner().invoke(build(), [*words, "--out-dir", str(tmp_path)]).exit_code == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert "tiny-chain-seed1-00000.png" in names
    assert any("-step" in name for name in names)
