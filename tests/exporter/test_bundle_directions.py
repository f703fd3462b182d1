"""Directions are written under their names, and one that breaks the contract of a bundle is not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file

from rhapsode.v1.bundle_pb2 import LatentPrior, LatentSpec, Metric, ModelKind, Training
from rhapsode_exporter.bundle.attributes import FILE, described, write_attributes
from rhapsode_exporter.bundle.draft import AttributeDraft, BundleDraft, Preview
from rhapsode_exporter.errors import ExportFailedError

HAT = AttributeDraft("hat", "Puts on a hat.", torch.arange(5.0), 1.5, (Metric(name="added_share", value=0.9),))
BEARD = AttributeDraft("beard", "Grows a beard.", torch.ones(5), 1.0, ())
DRAFT = BundleDraft(
    name="faces",
    kind=ModelKind.MODEL_KIND_AUTOENCODER,
    description="Faces.",
    licence="CC0-1.0",
    graphs=(),
    training=Training(),
    metrics=(),
    preview=Preview("preview.txt", b""),
    latent=LatentSpec(size=5, prior=LatentPrior.LATENT_PRIOR_NORMAL),
    attributes=(HAT, BEARD),
)


def test_vectors_stand_under_their_names(tmp_path: Path) -> None:
    write_attributes(DRAFT, tmp_path)
    found = load_file(tmp_path / FILE)
    assert {name: values.tolist() for name, values in found.items()} == {
        "hat": [0.0, 1.0, 2.0, 3.0, 4.0],
        "beard": [1.0] * 5,
    }
    told = list(described(DRAFT.attributes))
    assert [(one.name, one.strength) for one in told] == [("hat", 1.5), ("beard", 1.0)]
    assert told[0].metrics[0].name == "added_share"


def test_without_directions_there_is_no_file(tmp_path: Path) -> None:
    write_attributes(replace(DRAFT, attributes=()), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "Hat"}, "cannot name an attribute"),
        ({"name": "beard"}, "names two"),
        ({"strength": 0.0}, "above 0"),
        ({"strength": 101.0}, "at most 100"),
        ({"strength": float("nan")}, "above 0"),
        ({"vector": torch.zeros(4)}, "not 5 finite numbers"),
        ({"vector": torch.full((5,), float("nan"))}, "not 5 finite numbers"),
        ({"vector": torch.full((5,), 1001.0)}, "not 5 finite numbers"),
    ],
)
def test_a_direction_that_breaks_the_contract_is_not_written(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    with pytest.raises(ExportFailedError, match=told):
        write_attributes(replace(DRAFT, attributes=(replace(HAT, **change), BEARD)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_model_without_latents_has_no_directions(tmp_path: Path) -> None:
    with pytest.raises(ExportFailedError, match="directions in latent space"):
        write_attributes(replace(DRAFT, latent=None), tmp_path)
