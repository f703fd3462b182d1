"""Where the measured bundles lie, and what their manifests say."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.cases import FOREIGN
from google.protobuf import json_format

from rhapsode.v1 import bundle_pb2
from rhapsode_server.models.state import StateSpec
from rhapsode_server.repository.tensors import DTYPES

_MAIN_GRAPHS = (bundle_pb2.GRAPH_ROLE_STEP, bundle_pb2.GRAPH_ROLE_DECODE, bundle_pb2.GRAPH_ROLE_DENOISE)


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders of bundles, as --models takes them."""

    shipped: Path
    out: Path

    @property
    def measured(self) -> Path:
        """The GRU, the n-gram model, the generator of digits and their diffusion model."""
        return self.out / "measured"

    @property
    def foreign(self) -> Path:
        """The wide model, for a server of its own."""
        return self.out / "foreign"

    def read(self, model: str) -> "Opened":
        """The newest version of a measured model."""
        return opened(newest(self.foreign if model == FOREIGN else self.measured, model))


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle's manifest and its step, decode or denoise graph."""

    manifest: bundle_pb2.Bundle
    graph: bytes
    states: tuple[StateSpec, ...]

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return len(self.manifest.sequence.vocabulary.tokens)

    @property
    def start(self) -> int:
        """The token that stands for an empty prompt."""
        return self.manifest.sequence.vocabulary.start_token


def newest(models: Path, name: str) -> Path:
    """The folder of a model's newest version."""
    return max((models / name).iterdir(), key=lambda folder: int(folder.name))


def opened(folder: Path) -> Opened:
    """Read a bundle without the checks of a server."""
    manifest = json_format.Parse((folder / "bundle.json").read_text(encoding="utf-8"), bundle_pb2.Bundle())
    graph = next(graph for graph in manifest.graphs if graph.role in _MAIN_GRAPHS)
    return Opened(manifest, (folder / graph.file).read_bytes(), _states(graph))


def _states(graph: bundle_pb2.Graph) -> tuple[StateSpec, ...]:
    inputs = {spec.name: spec for spec in graph.inputs}
    return tuple(
        StateSpec(
            pair.input,
            pair.output,
            tuple(axis.size for axis in inputs[pair.input].shape[1:]),
            np.dtype(DTYPES[inputs[pair.input].dtype]),
            pair.initial_value,
        )
        for pair in graph.states
    )
