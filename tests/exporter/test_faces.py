"""Faces are the same for the same seed, know their parts, and are drawn only once."""

from pathlib import Path

import numpy as np
import pytest

from rhapsode_exporter.data import faces


def test_a_seed_always_gives_the_same_face() -> None:
    one, all_three = faces.draw([5]), faces.draw([4, 5, 6])
    assert np.array_equal(one.images[0], all_three.images[1])
    assert list(one.variants[0]) == list(all_three.variants[1])
    assert len(np.unique(all_three.images.reshape(3, -1), axis=0)) == 3


def test_about_half_wear_glasses_a_hat_or_a_beard() -> None:
    drawn = faces.draw(range(200))
    assert drawn.images.shape == (200, 16, 16, 3)
    for part in ("glasses", "hat", "beard"):
        assert 0.35 < drawn.has(part).mean() < 0.65


def test_a_kind_of_part_is_told_from_another() -> None:
    drawn = faces.draw(range(100))
    dark, light = drawn.has("glasses", "dark"), drawn.has("glasses", "light")
    assert np.array_equal(dark | light, drawn.has("glasses"))
    assert not (dark & light).any()
    assert dark.any()


def test_faces_are_drawn_once_and_then_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = faces.load(8, tmp_path)
    monkeypatch.setattr(faces, "draw", None)
    second = faces.load(8, tmp_path)
    assert np.array_equal(first.images, second.images)
    assert np.array_equal(first.variants, second.variants)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]


def test_the_last_seeds_are_held_out() -> None:
    drawn = faces.draw(range(10))
    cut = faces.split(drawn, validation=2, held_out=3)
    assert [len(part) for part in (cut.training, cut.validation, cut.held_out)] == [5, 2, 3]
    assert np.array_equal(cut.held_out.images, drawn.images[7:])


def test_a_split_must_leave_faces_to_learn_from() -> None:
    with pytest.raises(ValueError, match="10 faces cannot give"):
        faces.split(
            faces.draw([1]).take(slice(0, 1)).__class__(np.zeros((10, 16, 16, 3), np.uint8), np.zeros((10, 8), "<U16")),
            5,
            5,
        )
