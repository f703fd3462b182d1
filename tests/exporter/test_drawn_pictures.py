"""Pictures drawn from a bundle on disk are those of its graph, the same for a seed, with every class in turn."""

from pathlib import Path

import numpy as np
import pytest

from rhapsode.v1.bundle_pb2 import GraphRole
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime, Tensors
from rhapsode_exporter.errors import BundleUnreadableError, DrawingRefusedError
from rhapsode_exporter.sampling import opened
from rhapsode_exporter.sampling.draw import draws, pictures
from rhapsode_exporter.sampling.opened import open_bundle
from support import bundles

DECODE = GraphRole.GRAPH_ROLE_DECODE


def test_pictures_are_the_same_for_a_seed(tmp_path: Path) -> None:
    bundle = open_bundle(bundles.autoencoder().write(tmp_path))
    drawn = pictures(bundle, 5, seed=3)
    assert drawn.shape == (5, 3, 8, 8)
    assert drawn.dtype == np.float32
    assert np.array_equal(drawn, pictures(bundle, 5, seed=3))
    assert not np.array_equal(drawn, pictures(bundle, 5, seed=4))


def test_latents_come_from_the_prior_that_the_bundle_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    run = OnnxRuntime.run

    def watched(graph: OnnxRuntime, inputs: Tensors) -> Tensors:
        seen.append(inputs["latent"])
        return run(graph, inputs)

    monkeypatch.setattr(OnnxRuntime, "run", watched)
    pictures(open_bundle(bundles.grey_generator().write(tmp_path)), 400, seed=0)
    pictures(open_bundle(bundles.autoencoder().write(tmp_path)), 400, seed=0)
    uniform, normal = np.concatenate(seen[:2]), np.concatenate(seen[2:])
    assert -1 <= uniform.min() < -0.9
    assert 0.9 < uniform.max() < 1
    assert np.abs(normal).max() > 2
    assert normal.std() == pytest.approx(1, abs=0.05)


def test_classes_stand_in_turn(tmp_path: Path) -> None:
    bundle = open_bundle(bundles.class_generator().write(tmp_path))
    drawn = pictures(bundle, 6, seed=1)
    latents = np.random.default_rng(1).standard_normal((6, bundle.manifest.latent.size), dtype=np.float32)
    by_hand = bundle.sessions[DECODE].run({"latent": latents, "class_id": np.array([0, 1, 2, 0, 1, 2])})["image"]
    assert np.array_equal(drawn, by_hand)


def test_parts_make_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = open_bundle(bundles.autoencoder().write(tmp_path))
    whole = pictures(bundle, 7, seed=2)
    monkeypatch.setattr(opened, "ROWS", 3)
    assert np.allclose(pictures(bundle, 7, seed=2), whole, atol=1e-6)


def test_a_bundle_that_draws_nothing_is_refused(tmp_path: Path) -> None:
    text = open_bundle(bundles.stepper().write(tmp_path))
    assert not draws(text)
    with pytest.raises(DrawingRefusedError, match="tiny-text draws no pictures"):
        pictures(text, 1, seed=0)


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleUnreadableError, match="holds no bundle"):
        open_bundle(tmp_path)
