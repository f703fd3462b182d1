"""One bundle made into a model that can be served: read, loaded into ONNX Runtime, verified."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rhapsode.v1 import bundle_pb2
from rhapsode_server.errors import RunFailed
from rhapsode_server.models.decoder import Decoder
from rhapsode_server.models.encoder import Encoder
from rhapsode_server.models.latents import Prior
from rhapsode_server.models.stepper import Alphabet, StateSpec, Stepper
from rhapsode_server.repository import bundle as bundles
from rhapsode_server.repository import rehearsal, verify
from rhapsode_server.repository.bundle import Manifest
from rhapsode_server.repository.problems import Problem, refusal
from rhapsode_server.repository.schema import DECODE, ENCODE, STEP
from rhapsode_server.repository.tensors import DTYPES
from rhapsode_server.runtime.providers import Runtime
from rhapsode_server.runtime.session import Session

_PRIORS: Mapping[int, Prior] = MappingProxyType(
    {bundle_pb2.LATENT_PRIOR_NORMAL: Prior.NORMAL, bundle_pb2.LATENT_PRIOR_UNIFORM: Prior.UNIFORM}
)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model that is ready. Its parts follow from its graphs; those that it has not are None."""

    bundle: bundle_pb2.Bundle
    digest: str
    """SHA-256 of bundle.json."""
    fingerprint: str
    """Equal on two servers: evidence that they give the same bytes."""
    batch_invariant: bool
    """Whether the goldens found a row's bytes independent of its batch and its place in it."""
    stepper: Stepper | None
    decoder: Decoder | None
    encoder: Encoder | None
    load_seconds: float
    """Seconds of wall time, verification included."""

    @property
    def name(self) -> str:
        """The model's name."""
        return self.bundle.name

    @property
    def version(self) -> int:
        """The model's version."""
        return self.bundle.version


def load(folder: Path, runtime: Runtime, max_batch: int) -> LoadedModel:
    """Load models/<name>/<version>/; BundleError where anything is wrong with it."""
    begun = time.perf_counter()
    manifest = bundles.read(folder)
    sessions = _sessions(manifest, runtime)
    stepper = _stepper(manifest.bundle, sessions[STEP], max_batch) if STEP in sessions else None
    decoder = _decoder(manifest.bundle, sessions[DECODE], max_batch) if DECODE in sessions else None
    # A critic is verified like the rest and then let go: no rpc uses it.
    verified = verify.check(manifest, sessions, _rehearsal(manifest, stepper, decoder))
    return LoadedModel(
        bundle=manifest.bundle,
        digest=manifest.digest,
        fingerprint=verified.fingerprint,
        batch_invariant=verified.batch_invariant,
        stepper=stepper,
        decoder=decoder,
        encoder=Encoder(sessions[ENCODE], max_batch) if ENCODE in sessions else None,
        load_seconds=time.perf_counter() - begun,
    )


def _sessions(manifest: Manifest, runtime: Runtime) -> Mapping[int, Session]:
    sessions: dict[int, Session] = {}
    for graph in manifest.bundle.graphs:
        try:
            sessions[graph.role] = runtime.session(manifest.graphs[graph.role])
        except RunFailed as error:
            raise refusal(manifest.label, Problem("V2", graph.file, error.message)) from error
    return sessions


def _stepper(bundle: bundle_pb2.Bundle, session: Session, max_batch: int) -> Stepper:
    graph = next(graph for graph in bundle.graphs if graph.role == STEP)
    inputs = {spec.name: spec for spec in graph.inputs}
    states = [
        StateSpec(
            input=pair.input,
            output=pair.output,
            shape=tuple(axis.size for axis in inputs[pair.input].shape[1:]),
            dtype=DTYPES[inputs[pair.input].dtype],
            initial_value=pair.initial_value,
        )
        for pair in graph.states
    ]
    vocabulary = bundle.sequence.vocabulary
    end = vocabulary.end_token if vocabulary.HasField("end_token") else None
    alphabet = Alphabet(tuple(vocabulary.tokens), end, bundle.sequence.penalties_count_prompt)
    return Stepper(session, states, alphabet, max_batch)


def _decoder(bundle: bundle_pb2.Bundle, session: Session, max_batch: int) -> Decoder:
    prior = _PRIORS[bundle.latent.prior]
    return Decoder(session, bundle.latent.size, prior, len(bundle.classes), max_batch)


def _rehearsal(manifest: Manifest, stepper: Stepper | None, decoder: Decoder | None) -> Iterator[bytes]:
    if stepper is not None:
        yield from rehearsal.recite(stepper, manifest.goldens[STEP].inputs["token"].tolist())
    if decoder is not None:
        yield from rehearsal.paint(decoder)
