"""Pictures at the end of a Boltzmann machine's chains."""

import numpy as np
from numpy.typing import NDArray

from rhapsode.v1.bundle_pb2 import GraphRole
from rhapsode_exporter.bundle.onnx_runtime import Tensors
from rhapsode_exporter.sampling.opened import Opened


def pictures(bundle: Opened, count: int, seed: int) -> NDArray[np.float32]:
    """`count` pictures [count, C, H, W] in the model's range, after its usual steps; its classes in turn."""
    spec, classes = bundle.manifest.gibbs, len(bundle.manifest.classes)
    chance = np.random.default_rng(seed)
    start = np.array(spec.start or [0.5] * spec.state_size, np.float32)
    inputs: Tensors = {"state": (chance.random((count, spec.state_size), np.float32) < start).astype(np.float32)}
    if classes:
        inputs["class_id"] = np.arange(count, dtype=np.int64) % classes
    given: Tensors = {}
    for _ in range(spec.default_steps):
        inputs["uniform"] = chance.random((count, spec.noise_size), np.float32)
        given = bundle.run(GraphRole.GRAPH_ROLE_GIBBS, inputs)
        inputs["state"] = given["next_state"]
    return given["image"].astype(np.float32)
