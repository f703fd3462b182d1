"""Every rule that docs/bundle.md gives for attributes is broken here, and the server says which."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import numpy as safetensors

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_server.errors import BundleError
from rhapsode_server.repository import bundle as bundles
from support.breaking import edit, write
from support.bundles import ATTRIBUTES, autoencoder, class_generator, directions

FILE = "attributes.safetensors"
Break = Callable[[Path], object]


def said(change: Callable[[Bundle], object]) -> Break:
    return lambda folder: edit(folder, change)


def vectors(**change: np.ndarray | None) -> Break:
    kept = {name: values for name, values in (directions() | change).items() if values is not None}
    return lambda folder: write(folder, FILE, safetensors.save(kept))


def forget(folder: Path) -> None:
    (folder / FILE).unlink()
    write(folder, "card.md", b"# No vectors\n")


RULES: list[tuple[str, str, Break]] = [
    ("A1", "is listed in files exactly where", forget),
    ("A1", "is listed in files exactly where", said(lambda b: b.ClearField("attributes"))),
    ("A1", "need a decode and an encode graph", said(lambda b: b.graphs.pop())),
    ("A2", "has 'hat' twice", said(lambda b: b.attributes.append(b.attributes[1]))),
    ("A2", "has 258 entries", said(lambda b: b.attributes.extend([b.attributes[1]] * 256))),
    ("A2", "must match", said(lambda b: setattr(b.attributes[0], "name", "Glasses"))),
    ("A2", "must match", said(lambda b: setattr(b.attributes[0], "name", "_glasses"))),
    ("A2", "must match", said(lambda b: setattr(b.attributes[0], "name", "g" * 65))),
    ("A2", "has the strength nan", said(lambda b: setattr(b.attributes[0], "strength", float("nan")))),
    ("A2", "has the strength inf", said(lambda b: setattr(b.attributes[0], "strength", float("inf")))),
    ("A2", "has the strength 0", said(lambda b: b.attributes[0].ClearField("strength"))),
    ("A2", "has the strength -1", said(lambda b: setattr(b.attributes[0], "strength", -1.0))),
    ("M7", "metrics: 'success'", said(lambda b: b.attributes[0].metrics.add(name="success", value=float("nan")))),
    ("A3", "is not a safetensors file", lambda folder: write(folder, FILE, b"glasses")),
    ("A3", "'hat': is missing", vectors(hat=None)),
    ("A3", "'beard': belongs to no attribute", vectors(beard=np.zeros(8, np.float32))),
    ("A3", "'hat': is float32 [9]", vectors(hat=np.zeros(9, np.float32))),
    ("A3", "'hat': is float32 [1, 8]", vectors(hat=np.zeros((1, 8), np.float32))),
    ("A3", "'hat': is float64 [8]", vectors(hat=np.zeros(8))),
    ("A3", "'hat': has values that are not finite", vectors(hat=np.full(8, np.nan, np.float32))),
    ("A3", "'hat': has values that are not finite or beyond", vectors(hat=np.full(8, 1001, np.float32))),
]


@pytest.mark.parametrize(("rule", "told", "change"), RULES, ids=lambda value: str(value)[:40])
def test_a_bundle_with_broken_attributes_is_refused(tmp_path: Path, rule: str, told: str, change: Break) -> None:
    folder = autoencoder().write(tmp_path)
    change(folder)
    with pytest.raises(BundleError) as caught:
        bundles.read(folder)
    lines = [line for line in caught.value.message.splitlines() if line.endswith(f"(docs/bundle.md, {rule})")]
    assert any(told in line for line in lines), caught.value.message


def test_a_whole_bundle_gives_the_vectors_by_name(tmp_path: Path) -> None:
    found = bundles.read(autoencoder().write(tmp_path)).attributes
    assert list(found) == list(ATTRIBUTES)
    for name, values in directions().items():
        assert np.array_equal(found[name], values)


def test_most_bundles_have_none(tmp_path: Path) -> None:
    assert not bundles.read(class_generator().write(tmp_path)).attributes
