"""Figures that are measured after a bundle was written, put into it."""

import shutil
from collections.abc import Sequence

from rhapsode.v1.bundle_pb2 import Bundle, Metric
from rhapsode_exporter.bundle.card import FILE as CARD
from rhapsode_exporter.bundle.card import render_card
from rhapsode_exporter.bundle.read import StoredBundle
from rhapsode_exporter.bundle.whole import seal, whole


def put_figures(stored: StoredBundle, metrics: Sequence[Metric], prefix: str = "") -> Bundle:
    """Put the figures into bundle.json and the card, in the place of those of the same names.

    With a `prefix` they are in the place of all whose names begin with it, too.

    All other figures and all other files stay as they are; the folder is replaced whole, or not at all.
    """
    manifest = Bundle()
    manifest.CopyFrom(stored.manifest)
    manifest.ClearField("files")
    manifest.ClearField("metrics")
    names = {metric.name for metric in metrics}
    manifest.metrics.extend(
        metric
        for metric in stored.manifest.metrics
        if metric.name not in names and not (prefix and metric.name.startswith(prefix))
    )
    manifest.metrics.extend(metrics)
    with whole(stored.folder) as part:
        for file in stored.manifest.files:
            shutil.copyfile(stored.folder / file.path, part / file.path)
        (part / CARD).write_text(render_card(manifest), encoding="utf-8")
        seal(manifest, part)
    return manifest
