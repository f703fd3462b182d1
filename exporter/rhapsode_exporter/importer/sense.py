"""Whether golden outputs are what their names say: pictures in their range, logits that are no probabilities."""

from collections.abc import Iterator

import numpy as np

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_exporter.bundle.onnx_runtime import Tensors
from rhapsode_exporter.importer.problems import Problem

_ROUNDING = 1e-3  # of the range


def sense_problems(file: str, outputs: Tensors, manifest: Bundle) -> Iterator[Problem]:
    """What the outputs of a decode or step graph have against rule G5."""
    if "image" in outputs:
        yield from _range_problems(f"{file}: image", outputs["image"], manifest)
    if "logits" in outputs and _probabilities(outputs["logits"]):
        text = "are probabilities: none is negative and each row sums to 1; give what goes into the softmax"
        yield Problem(f"{file}: logits", text, "G5")


def _range_problems(where: str, values: np.ndarray, manifest: Bundle) -> Iterator[Problem]:
    image, low, high = manifest.image, float(values.min()), float(values.max())
    slack = _ROUNDING * (image.high - image.low)
    if low < image.low - slack or high > image.high + slack:
        text = f"goes from {low:.3g} to {high:.3g}, image.low and image.high say {image.low:g} to {image.high:g}"
        yield Problem(where, f"{text}; say the range that the graph was trained for, or end it with a Clip", "G5")


def _probabilities(logits: np.ndarray) -> bool:
    sums = logits.sum(axis=1, dtype=np.float64)
    return logits.shape[1] > 1 and bool((logits >= 0).all()) and bool(np.allclose(sums, 1.0, atol=1e-3))
