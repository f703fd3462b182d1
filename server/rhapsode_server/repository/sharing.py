"""Every graph of a bundle as it is served: to rows of its role and to rows of tensors at a time."""

from collections.abc import Mapping
from typing import Any

from rhapsode_server.models.graph_model import GraphModel
from rhapsode_server.models.shared_graph import SharedGraph
from rhapsode_server.models.tensors import TensorModel, TensorRow, all_finite, can_be_drawn
from rhapsode_server.repository.bundle import Manifest
from rhapsode_server.repository.goldens import Golden
from rhapsode_server.repository.ranges import ranges
from rhapsode_server.repository.schema import STEP
from rhapsode_server.runtime.session import Session


def shared(
    manifest: Manifest,
    sessions: Mapping[int, Session],
    typed: Mapping[int, GraphModel[Any, Any] | None],
    batch_invariant: bool,
    max_batch: int,
) -> Mapping[int, SharedGraph]:
    """Each by its role; `typed` are the models of the same sessions."""

    def tensors(role: int, session: Session) -> TensorModel:
        sound = can_be_drawn if role == STEP else all_finite
        example = _first(manifest.goldens[role])
        return TensorModel(session, max_batch, example, ranges(manifest.bundle, role), sound)

    return {
        role: SharedGraph(tensors(role, session), typed.get(role), batch_invariant)
        for role, session in sessions.items()
    }


def _first(golden: Golden) -> TensorRow:
    """A copy, because the goldens are not kept."""
    return TensorRow({name: values[0, ...].copy() for name, values in golden.inputs.items()})
