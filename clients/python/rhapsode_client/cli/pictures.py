"""Pictures as files: one labelled sheet of all, or a file for each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rhapsode_client.cli.sheet import Labelled, contact_sheet
from rhapsode_client.cli.terminal import note, write_json
from rhapsode_client.types import ImageFormat, ImagesStarted, Picture


@dataclass(frozen=True, slots=True)
class Labels:
    """Names pictures by what makes them again: a seed each, or a number under one seed."""

    model: str
    seeds: tuple[int, ...] | None
    asked: tuple[str, ...] = ()
    """What was asked for beside the seed, in words."""

    def under(self, picture: Picture) -> str:
        """The words under a picture; its row makes it again where the best of many were kept."""
        if picture.row is not None:
            return f"#{picture.row} {picture.realness:.3g}"
        return f"#{picture.index}" if self.seeds is None else f"seed {self.seeds[picture.index]}"

    def heading(self, started: ImagesStarted) -> str:
        """The words over all pictures."""
        name = f"{started.model}@{started.version}"
        seed = () if started.seed is None else (f"seed {started.seed}",)
        return " · ".join((name, *seed, *self.asked))

    def file(self, picture: Picture, started: ImagesStarted) -> str:
        """A file name without suffix; sorts in the order of the pictures where one seed makes them all."""
        if self.seeds is not None:
            return f"{started.model}-seed{self.seeds[picture.index]}"
        if picture.row is not None:
            return f"{started.model}-seed{started.seed}-best{picture.index:05d}-row{picture.row}"
        return f"{started.model}-seed{started.seed}-{picture.index:05d}"


def save_sheet(
    pictures: Sequence[Picture],
    started: ImagesStarted,
    labels: Labels,
    path: Path,
    columns: int | None,
    scale: int | None,
    *,
    as_json: bool,
) -> None:
    """Write all pictures, at least one, on one sheet; say where, and the seed."""
    entries = [Labelled(picture.image(), labels.under(picture)) for picture in pictures]
    sheet = contact_sheet(entries, labels.heading(started), columns, scale)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    if as_json:
        write_json({"file": str(path), "pictures": len(pictures), **_origin(started)})
    else:
        note(f"{path}: {len(pictures)} pictures, {labels.heading(started)}")


def save_each(
    pictures: Iterable[Picture], started: ImagesStarted, labels: Labels, folder: Path, *, as_json: bool
) -> None:
    """Write every picture to a file of its own as it comes; say where, and the seed."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for picture in pictures:
        count += 1
        path = _save(picture, folder / labels.file(picture, started))
        if as_json:
            own = {"seed": labels.seeds[picture.index]} if labels.seeds else {}
            chosen = {} if picture.row is None else {"row": picture.row, "realness": picture.realness}
            write_json({"file": str(path), "index": picture.index, **_origin(started), **own, **chosen})
    if not as_json:
        note(f"{folder}: {count} pictures, {labels.heading(started)}")


def save_preview(picture: Picture, started: ImagesStarted, labels: Labels, folder: Path, *, as_json: bool) -> None:
    """Write a picture that is still on its way beside where it will stand."""
    folder.mkdir(parents=True, exist_ok=True)
    path = _save(picture, folder / f"{labels.file(picture, started)}-step{picture.steps_taken:04d}")
    if as_json:
        record = {"file": str(path), "index": picture.index, "steps_taken": picture.steps_taken}
        write_json(record | _origin(started))


def _save(picture: Picture, stem: Path) -> Path:
    if picture.format in (ImageFormat.RAW_UINT8, ImageFormat.RAW_FLOAT32):
        path = stem.with_name(stem.name + ".npy")
        np.save(path, picture.array())
    else:
        path = stem.with_name(f"{stem.name}.{picture.format}")
        path.write_bytes(picture.data)
    return path


def _origin(started: ImagesStarted) -> dict[str, str | int | None]:
    return {
        "model": started.model,
        "version": started.version,
        "fingerprint": started.fingerprint,
        "seed": started.seed,
    }
