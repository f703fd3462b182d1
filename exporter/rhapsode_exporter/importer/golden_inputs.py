"""Inputs as they occur in use, for the goldens of an imported graph."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from rhapsode.v1.bundle_pb2 import Bundle, LatentPrior, StatePair
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime, Tensors
from rhapsode_exporter.importer.surgery import Port

SEED = 1


def plain(ports: Sequence[Port], states: Sequence[StatePair], rows: int) -> Tensors:
    """Zeros, and states as they begin: enough for a graph to run."""
    initial = {pair.input: pair.initial_value for pair in states}
    return {
        port.name: np.full((rows, *port.row), initial.get(port.name, 0.0), helper.tensor_dtype_to_np_dtype(port.dtype))
        for port in ports
    }


def recital(graph: OnnxRuntime, ports: Sequence[Port], states: Sequence[StatePair], manifest: Bundle) -> Tensors:
    """Inputs of a step graph: row i stands i tokens into a text that the model itself has written.

    All texts begin with the start token, or with any where there is none. Tokens are drawn from the model's own
    distribution by the Gumbel-max method (Gumbel 1954).
    """
    draw = np.random.Generator(np.random.PCG64(SEED))
    vocabulary = manifest.sequence.vocabulary
    feeds = plain(ports, states, GOLDEN_ROWS)
    feeds["token"] = draw.integers(len(vocabulary.tokens), size=GOLDEN_ROWS)
    if vocabulary.HasField("start_token"):
        feeds["token"][:] = vocabulary.start_token
    found = {name: values.copy() for name, values in feeds.items()}
    for row in range(1, GOLDEN_ROWS):
        given = graph.run(feeds)
        logits = given["logits"].astype(np.float64)
        feeds = {pair.input: given[pair.output] for pair in states}
        feeds["token"] = np.argmax(logits + draw.gumbel(size=logits.shape), axis=1)
        for name, values in feeds.items():
            found[name][row] = values[row]
    return found


def latents(manifest: Bundle) -> Tensors:
    """Inputs of a decode graph: latents drawn from their prior, and every class in turn."""
    draw = np.random.Generator(np.random.PCG64(SEED))
    shape = (GOLDEN_ROWS, manifest.latent.size)
    normal = manifest.latent.prior == LatentPrior.LATENT_PRIOR_NORMAL
    drawn = draw.standard_normal(shape, np.float32) if normal else draw.uniform(-1.0, 1.0, shape).astype(np.float32)
    if not manifest.classes:
        return {"latent": drawn}
    return {"latent": drawn, "class_id": np.arange(GOLDEN_ROWS, dtype=np.int64) % len(manifest.classes)}


def pictures(manifest: Bundle) -> NDArray[np.float32]:
    """Noise [33, C, H, W] between low and high, for an encoder or critic whose decoder made no pictures."""
    image = manifest.image
    shape = (GOLDEN_ROWS, image.channels, image.height, image.width)
    draw = np.random.Generator(np.random.PCG64(SEED))
    return draw.uniform(image.low, image.high, shape).astype(np.float32)
