"""Real pictures are cut as the training cut them, and an observer knows them from others."""

from pathlib import Path

import numpy as np
import pytest

from rhapsode.v1.bundle_pb2 import Bundle, DataSet, ImageSpec, Training
from rhapsode_exporter.data import digits, faces, letters, shapes
from rhapsode_exporter.data.real import Real, real_pictures
from rhapsode_exporter.evaluation.generated import Sets, figures, sets_of
from rhapsode_exporter.evaluation.measure import first_held_out
from rhapsode_exporter.evaluation.observer import Observer, teach
from rhapsode_exporter.evaluation.pictures import to_range, to_unit
from support import judged


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    judged.hurried(monkeypatch)


def manifest(side: int, channels: int, **data: str) -> Bundle:
    image = ImageSpec(height=side, width=side, channels=channels, low=-1, high=1)
    return Bundle(name="judged", image=image, training=Training(data=DataSet(**data)))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def signs(cache: Path) -> Real:
    with pytest.MonkeyPatch.context() as patch:
        archive = judged.signs(cache, patch)
        return real_pictures(manifest(28, 1, sha256=archive.sha256), cache, None)


@pytest.fixture(scope="module")
def observer(signs: Real) -> Observer:
    with pytest.MonkeyPatch.context() as patch:
        judged.hurried(patch)
        taught = teach(signs)
    assert taught is not None
    return taught


def test_digits_are_cut_as_in_training(cache: Path, signs: Real) -> None:
    training, held_out = digits.split(digits.read(next((cache / "archives").iterdir())))
    assert signs.training.shape == (320, 1, 28, 28)
    assert np.array_equal(np.rint(signs.held_out[:, 0] * 255), held_out.images)
    assert signs.labels is not None
    assert np.array_equal(signs.labels.training, training.labels)
    assert signs.labels.exclusive
    few = first_held_out(signs, 7)
    assert few.labels is not None
    assert (len(few.held_out), len(few.labels.held_out), len(few.training)) == (7, 7, 320)


def test_faces_are_drawn_again_with_what_they_wear(tmp_path: Path) -> None:
    real = real_pictures(manifest(16, 3, name="DiceBear pixel-art, 60 faces drawn from seeds"), tmp_path, None)
    assert (len(real.training), len(real.held_out)) == (54, 3)
    assert np.array_equal(np.rint(real.held_out.transpose(0, 2, 3, 1) * 255), faces.draw(range(57, 60)).images)
    assert real.labels is not None
    assert real.labels.names == ("glasses", "hat", "beard", "long hair")
    assert real.labels.training.shape == (54, 4)
    assert not real.labels.exclusive
    assert np.array_equal(real.anomalies[0, :, :, :8], real.held_out[0, :, :, :8])
    assert np.array_equal(real.anomalies[0, :, :, 8:], real.held_out[1, :, :, 8:])
    taught = teach(real)
    assert taught is not None
    assert taught.shares(real.held_out).shape == (4,)
    assert "long hair" in taught.words


def test_solids_are_drawn_again_with_their_factors(tmp_path: Path) -> None:
    name = "1004 rendered cylinders and cones (height 12 to 24; pixels and degrees)"
    real = real_pictures(manifest(32, 3, name=name), tmp_path, None)
    assert (len(real.training), len(real.held_out)) == (4, 1000)
    drawn = shapes.draw(1004, shapes.SEED)
    assert np.array_equal(np.rint(real.held_out[-1].transpose(1, 2, 0) * 255), drawn.images[-1])
    assert real.labels is not None
    assert real.labels.names[:2] == ("high cone", "high height")
    assert np.array_equal(real.labels.held_out[:, 0], drawn.factors[4:, 0] == 1)


def test_letters_are_no_digits() -> None:
    drawn = letters.draw()
    assert drawn.shape == (12 * len(letters.LETTERS), 28, 28)
    assert (drawn.max(axis=(1, 2)) > 200).all()
    assert not set("BDIOSZ0123456789") & set(letters.LETTERS)


def test_pictures_pass_through_the_range_of_a_bundle() -> None:
    described = manifest(1, 1)
    unit = (np.arange(256) / 255).astype(np.float32).reshape(256, 1, 1, 1)
    assert np.array_equal(to_unit(to_range(unit, described), described), unit)
    assert to_unit(np.array([-9.0, 9.0, 0.001], np.float32), described) == pytest.approx([0, 1, 128 / 255])


def values(sets: Sets, real: Real, observer: Observer) -> dict[str, float]:
    return {found.metric.name.removeprefix("judged_"): found.metric.value for found in figures(sets, real, observer)}


def test_what_draws_real_pictures_is_found_real(signs: Real, observer: Observer) -> None:
    found = values(sets_of([signs.held_out, signs.held_out], [1, 2], signs), signs, observer)
    assert found["frechet_distance"] == pytest.approx(0.0, abs=1e-6)
    assert (found["precision_share"], found["recall_share"]) == (1.0, 1.0)
    assert found["covered_classes"] == 10
    assert found["commonest_class_share"] == pytest.approx(0.1, abs=0.02)
    assert found["novelty_ratio"] == pytest.approx(1.0)


def test_what_repeats_its_training_is_found_out(signs: Real, observer: Observer) -> None:
    found = values(sets_of([signs.training[:80], signs.training[80:160]], [1, 2], signs), signs, observer)
    assert found["novelty_ratio"] < 0.01
    assert found["copies_share"] == 1.0


def test_what_draws_one_picture_is_found_out(signs: Real, observer: Observer) -> None:
    same = np.repeat(signs.held_out[:1], 80, axis=0)
    found = values(sets_of([same, same], [1, 2], signs), signs, observer)
    assert (found["covered_classes"], found["commonest_class_share"]) == (1, 1.0)
    assert found["recall_share"] < 0.2
