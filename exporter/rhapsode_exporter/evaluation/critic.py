"""The figures of a bundle's judgement: does it notice what is no picture of its kind, does it know the classes."""

from collections.abc import Iterator

import numpy as np

from rhapsode.v1.bundle_pb2 import GraphRole
from rhapsode_exporter.data.real import Floats, Real
from rhapsode_exporter.evaluation import autoencoder
from rhapsode_exporter.evaluation.metric import Baseline, Finding, figure
from rhapsode_exporter.evaluation.pictures import to_range
from rhapsode_exporter.judge.auroc import auroc
from rhapsode_exporter.judge.neighbours import nearest
from rhapsode_exporter.sampling.opened import Opened

CRITIC = GraphRole.GRAPH_ROLE_CRITIC
COMMONEST = "naming the commonest class"


def judges(bundle: Opened) -> bool:
    """Whether the bundle has a critic of pictures, or an autoencoder whose errors judge."""
    return (CRITIC in bundle.sessions and bundle.manifest.HasField("image")) or reconstructs(bundle)


def reconstructs(bundle: Opened) -> bool:
    """Whether the bundle encodes and decodes."""
    return {GraphRole.GRAPH_ROLE_ENCODE, GraphRole.GRAPH_ROLE_DECODE} <= set(bundle.sessions)


def figures(bundle: Opened, real: Real) -> Iterator[Finding]:
    """AUROC as an anomaly score, of realness and of the error of reconstruction; accuracy where classes are told."""
    nearness = _anomaly_baseline(real)
    if CRITIC in bundle.sessions:
        outputs = [
            bundle.run(CRITIC, {"image": to_range(images, bundle.manifest)})
            for images in (real.anomalies, real.held_out)
        ]
        odd, usual = (-output["realness"].astype(np.float64) for output in outputs)
        yield _anomaly("critic_anomaly_auroc", auroc(odd, usual), "unreal by the critic", real, nearness)
        if "class_logits" in outputs[1] and real.labels is not None and real.labels.exclusive:
            yield _accuracy(outputs[1]["class_logits"].argmax(axis=1), real.labels.held_out, real)
    if reconstructs(bundle):
        found = auroc(*(autoencoder.errors(bundle, images) for images in (real.anomalies, real.held_out)))
        yield _anomaly("reconstruction_anomaly_auroc", found, "badly reconstructed", real, nearness)


def _anomaly(name: str, value: float, how: str, real: Real, baseline: Baseline) -> Finding:
    words = f"how likely one of {len(real.anomalies):,} {real.anomaly_words} is found more {how} than one of the "
    return figure(
        name, [value], f"{words}{len(real.held_out):,} {real.words} (guessing: 0.5)", baseline, higher_is_better=True
    )


def _anomaly_baseline(real: Real) -> Baseline:
    training, odd, usual = (_flat(images) for images in (real.training, real.anomalies, real.held_out))
    value = auroc(nearest(odd, training), nearest(usual, training))
    return Baseline(value, "the distance in pixels to the nearest training picture")


def _accuracy(named: np.ndarray, labels: np.ndarray, real: Real) -> Finding:
    commonest = float(np.bincount(labels).max() / len(labels))
    return figure(
        "accuracy_share",
        [float((named == labels).mean())],
        f"share of the {len(labels):,} {real.words} that the critic's class logits name rightly",
        Baseline(commonest, COMMONEST),
        higher_is_better=True,
    )


def _flat(images: Floats) -> Floats:
    return images.reshape(len(images), -1)
