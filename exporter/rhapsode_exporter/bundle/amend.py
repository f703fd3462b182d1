"""Figures that were measured after a bundle had been written, added to it."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from rhapsode.v1.bundle_pb2 import Metric
from rhapsode_exporter.bundle.card import FILE as CARD
from rhapsode_exporter.bundle.card import render_card
from rhapsode_exporter.bundle.read import read_bundle
from rhapsode_exporter.bundle.whole import MANIFEST, seal, whole


def add_metrics(folder: Path, metrics: Iterable[Metric]) -> None:
    """Write the bundle anew with these figures at the end, in the place of those of the same names.

    Raises BundleUnreadableError where it is not whole; it stays as it is where anything fails.
    """
    manifest = read_bundle(folder).manifest
    added = list(metrics)
    names = {metric.name for metric in added}
    kept = [metric for metric in manifest.metrics if metric.name not in names]
    del manifest.metrics[:], manifest.files[:]
    manifest.metrics.extend([*kept, *added])
    with whole(folder) as part:
        for path in folder.iterdir():
            if path.name not in {MANIFEST, CARD}:
                shutil.copyfile(path, part / path.name)
        (part / CARD).write_text(render_card(manifest), encoding="utf-8")
        seal(manifest, part)
