"""A bundle's goldens, run where it will be served: does it do what it says, and does company change a row."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhapsode.v1.bundle_pb2 import Bundle, Graph
from rhapsode_server.errors import DeviceLost, RunFailed
from rhapsode_server.repository.bundle import Manifest
from rhapsode_server.repository.goldens import ROWS, Arrays, Golden
from rhapsode_server.repository.problems import Problem, refusal, refuse
from rhapsode_server.repository.schema import TENSOR_FILES, TOKENIZER
from rhapsode_server.runtime.session import Session

DEFAULT_TOLERANCE = 1e-4
BATCHES = (1, 3, 8, ROWS)
# A fixed permutation of the 33 rows: 7 and 33 have no common divisor.
PERMUTATION = tuple((7 * row + 5) % ROWS for row in range(ROWS))
# The rows of each golden run; the one that the others' bits are compared with is that of all rows in order.
RUNS: tuple[tuple[int, ...], ...] = (*(tuple(range(batch)) for batch in BATCHES), PERMUTATION)
_WHOLE = BATCHES.index(ROWS)


@dataclass(frozen=True, slots=True)
class Verified:
    """What the goldens showed."""

    digest: bytes
    """SHA-256 of all that they gave in this process."""
    batch_invariant: bool
    """Whether every row gave the same bits in every batch and at every place."""


def goldens(manifest: Manifest, sessions: Mapping[int, Session]) -> Verified:
    """Run every graph's goldens; BundleError where a run fails or an output is beyond its tolerance."""
    digest = hashlib.sha256()
    invariant = True
    for graph in sorted(manifest.bundle.graphs, key=lambda graph: graph.role):
        golden = manifest.goldens[graph.role]
        with runs(manifest, graph.file):
            results = [_run(sessions[graph.role], golden, rows) for rows in RUNS]
        refuse(manifest.label, _problems(graph, golden, results))
        invariant = invariant and _invariant(results)
        for result in results:
            for spec in graph.outputs:
                digest.update(result[spec.name].tobytes())
    return Verified(digest.digest(), invariant)


def fingerprint(manifest: Manifest, verified: Verified, rehearsal: Iterable[bytes]) -> str:
    """SHA-256 of what the goldens gave, and of what the model gives as it will be served: 64 hexadecimal digits.

    Raises BundleError where a run of the rehearsal fails.
    """
    digest = hashlib.sha256(_meaning(manifest.bundle) + verified.digest)
    with runs(manifest, "the model"):
        for part in rehearsal:
            digest.update(part)
    return digest.hexdigest()


@contextmanager
def runs(manifest: Manifest, where: str) -> Iterator[None]:
    """Turn a run that fails into the refusal of the bundle."""
    try:
        yield
    except (RunFailed, DeviceLost) as error:
        raise refusal(manifest.label, Problem("V2", where, error.message)) from error


def _meaning(bundle: Bundle) -> bytes:
    """What the bundle adds to a reply's bytes beside its graphs: vocabulary, value range, classes, vectors…"""
    said = Bundle(sequence=bundle.sequence, latent=bundle.latent, image=bundle.image, classes=bundle.classes)
    for field in ("code", "diffusion", "gibbs"):
        if bundle.HasField(field):
            getattr(said, field).CopyFrom(getattr(bundle, field))
    said.attributes.extend(bundle.attributes)
    said.files.extend(file for file in bundle.files if file.path in {TOKENIZER, *TENSOR_FILES})
    return said.SerializeToString(deterministic=True)


def _run(session: Session, golden: Golden, rows: Sequence[int]) -> Arrays:
    return session.run({name: values[list(rows)] for name, values in golden.inputs.items()})


def _problems(graph: Graph, golden: Golden, results: Sequence[Arrays]) -> Iterator[Problem]:
    """The worst difference of each output that is beyond the tolerance in any run."""
    tolerance = graph.tolerance if graph.HasField("tolerance") else DEFAULT_TOLERANCE
    for name, recorded in golden.outputs.items():
        wanted = [recorded[list(rows)] for rows in RUNS]
        if any(result[name].shape != values.shape for result, values in zip(results, wanted, strict=True)):
            yield Problem("V3", f"{graph.file}: tensor {name!r}", "has another shape than its golden")
            continue
        distances = [_distance(result[name], values) for result, values in zip(results, wanted, strict=True)]
        worst = max(distances)
        if not worst <= tolerance:
            run = "permuted" if distances.index(worst) == len(BATCHES) else f"{BATCHES[distances.index(worst)]}"
            text = f"differs from its golden by {worst:.3g} at batch {run}, the tolerance is {tolerance:.3g}"
            yield Problem("V3", f"{graph.file}: tensor {name!r}", text)


def _distance(given: NDArray[np.generic], wanted: NDArray[np.generic]) -> float:
    """The largest absolute difference; infinite where something is NaN, which no tolerance allows."""
    largest = float(np.abs(given.astype(np.float64) - wanted.astype(np.float64)).max())
    return largest if np.isfinite(largest) else np.inf


def _invariant(results: Sequence[Arrays]) -> bool:
    whole = results[_WHOLE]
    return all(
        np.array_equal(values[list(rows)].view(np.uint8), result[name].view(np.uint8))
        for result, rows in zip(results, RUNS, strict=True)
        for name, values in whole.items()
    )
