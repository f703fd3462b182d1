"""The in-process limit: the same graphs and the same sampler in one Python loop, without scheduler, engine and gRPC."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.cases import Case, Measurement
from google.protobuf import json_format
from numpy.typing import NDArray

from rhapsode.v1 import bundle_pb2
from rhapsode_server.models.latents import Draw, Prior, draw
from rhapsode_server.models.noise import token_uniforms
from rhapsode_server.models.sampling import Sampling, sample
from rhapsode_server.runtime.providers import Runtime

_PRIORS = {
    bundle_pb2.LATENT_PRIOR_NORMAL: Prior.NORMAL,
    bundle_pb2.LATENT_PRIOR_UNIFORM: Prior.UNIFORM,
}


class Alone:
    """The bundles of a folder, run one batch after another in the calling thread."""

    def __init__(self, models: Path, runtime: Runtime, names: set[str]) -> None:
        self._bundles = {name: _read(models, name) for name in names}
        self._sessions = {
            name: runtime.session((models / name / str(bundle.version) / _main_graph(bundle).file).read_bytes())
            for name, bundle in self._bundles.items()
        }

    def measure(self, case: Case, seed: int) -> Measurement:
        """Run a case, all its rows in one batch."""
        make = self._text if case.kind == "text" else self._images
        wall, cpu = time.perf_counter(), time.process_time()
        for repeat in range(case.repeats):
            make(case, seed + repeat)
        return Measurement(case.name, "alone", case.total, time.perf_counter() - wall, time.process_time() - cpu)

    def _text(self, case: Case, seed: int) -> None:
        bundle, session = self._bundles[case.model], self._sessions[case.model]
        pairs = _main_graph(bundle).states
        feeds: dict[str, NDArray[Any]] = {
            pair.input: _initial(session.inputs[pair.input].shape, case.requests, pair.initial_value) for pair in pairs
        }
        tokens = np.full(case.requests, bundle.sequence.vocabulary.start_token, dtype=np.int64)
        uniforms = np.stack([token_uniforms(seed + row, 0, 0, case.items) for row in range(case.requests)])
        settings = [Sampling()] * case.requests
        for step in range(case.items):
            outputs = session.run({**feeds, "token": tokens})
            feeds = {pair.input: outputs[pair.output] for pair in pairs}
            tokens = sample(outputs["logits"], settings, [None] * case.requests, uniforms[:, step])

    def _images(self, case: Case, seed: int) -> None:
        bundle = self._bundles[case.model]
        size, prior = bundle.latent.size, _PRIORS[bundle.latent.prior]
        latents = np.stack([draw(Draw(seed, row), size, prior) for row in range(case.requests * case.items)])
        pictures = self._sessions[case.model].run({"latent": latents})["image"]
        unit = (pictures - bundle.image.low) / (bundle.image.high - bundle.image.low)
        for picture in np.rint(unit.clip(0.0, 1.0) * 255.0).astype(np.uint8):
            picture.transpose(1, 2, 0).tobytes()


def _read(models: Path, name: str) -> bundle_pb2.Bundle:
    newest = max((models / name).iterdir(), key=lambda folder: int(folder.name))
    return json_format.Parse((newest / "bundle.json").read_text(encoding="utf-8"), bundle_pb2.Bundle())


def _main_graph(bundle: bundle_pb2.Bundle) -> bundle_pb2.Graph:
    wanted = (bundle_pb2.GRAPH_ROLE_STEP, bundle_pb2.GRAPH_ROLE_DECODE)
    return next(graph for graph in bundle.graphs if graph.role in wanted)


def _initial(shape: tuple[int | None, ...], rows: int, value: float) -> NDArray[np.float32]:
    return np.full((rows, *(size or 1 for size in shape[1:])), value, dtype=np.float32)
