"""The file of a bundle's named directions in latent space, and what the manifest says of them."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from rhapsode.v1.bundle_pb2 import Attribute
from rhapsode_exporter.bundle.draft import AttributeDraft, BundleDraft
from rhapsode_exporter.errors import ExportFailedError

FILE = "attributes.safetensors"
NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")  # rule A2 of docs/bundle.md
STRENGTH, VALUE = 100.0, 1000.0  # rules A2 and A3: the most that a strength, and a number of a vector, may be


def write_attributes(draft: BundleDraft, folder: Path) -> None:
    """Write the vectors by name, where there are any. Raises ExportFailedError where one breaks the contract."""
    if not draft.attributes:
        return
    if problem := next(_problems(draft), None):
        raise ExportFailedError(problem)
    vectors = {one.name: np.ascontiguousarray(one.vector.numpy(), np.float32) for one in draft.attributes}
    (folder / FILE).write_bytes(save(vectors))


def described(attributes: Sequence[AttributeDraft]) -> Iterator[Attribute]:
    """What the manifest says of them."""
    for one in attributes:
        yield Attribute(name=one.name, description=one.description, strength=one.strength, metrics=one.metrics)


def _problems(draft: BundleDraft) -> Iterator[str]:
    names = [one.name for one in draft.attributes]
    if draft.latent is None:
        yield "attributes are directions in latent space, and this model has none"
        return
    for one in draft.attributes:
        if not NAME.fullmatch(one.name) or names.count(one.name) > 1:
            yield f"{one.name!r} cannot name an attribute, or names two; a name matches {NAME.pattern}"
        if not 0.0 < one.strength <= STRENGTH or not math.isfinite(one.strength):
            yield f"the attribute {one.name} has the strength {one.strength}; it is above 0 and at most {STRENGTH:g}"
        if one.vector.shape != (draft.latent.size,) or not bool((one.vector.abs() <= VALUE).all()):
            yield f"the vector of {one.name} is not {draft.latent.size} finite numbers up to ±{VALUE:g}"
