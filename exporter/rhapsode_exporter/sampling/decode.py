"""Pictures of latents that are drawn from a decoder's prior."""

import numpy as np
from numpy.typing import NDArray

from rhapsode.v1.bundle_pb2 import Bundle, GraphRole, LatentPrior
from rhapsode_exporter.bundle.onnx_runtime import Tensors
from rhapsode_exporter.sampling.opened import Opened


def pictures(bundle: Opened, count: int, seed: int) -> NDArray[np.float32]:
    """`count` pictures [count, C, H, W] in the model's range; its classes, where it has any, in turn."""
    inputs: Tensors = {"latent": _latents(bundle.manifest, count, np.random.default_rng(seed))}
    if bundle.manifest.classes and takes_class(bundle.manifest, GraphRole.GRAPH_ROLE_DECODE):
        inputs["class_id"] = classes_in_turn(bundle.manifest, count)
    return bundle.run(GraphRole.GRAPH_ROLE_DECODE, inputs)["image"].astype(np.float32)


def takes_class(manifest: Bundle, role: int) -> bool:
    """Whether the graph of this role asks for a class."""
    return any(spec.name == "class_id" for graph in manifest.graphs if graph.role == role for spec in graph.inputs)


def classes_in_turn(manifest: Bundle, count: int) -> NDArray[np.int64]:
    """Class ids [count] of which each stands as often as any other, but for a rest: 0, 1, …, 0, 1, …"""
    return np.arange(count, dtype=np.int64) % len(manifest.classes)


def _latents(manifest: Bundle, count: int, chance: np.random.Generator) -> NDArray[np.float32]:
    shape = (count, manifest.latent.size)
    if manifest.latent.prior == LatentPrior.LATENT_PRIOR_UNIFORM:
        return chance.uniform(-1.0, 1.0, shape).astype(np.float32)
    return chance.standard_normal(shape, dtype=np.float32)
