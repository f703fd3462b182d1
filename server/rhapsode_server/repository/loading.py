"""One bundle made into a model that can be served: read, loaded into ONNX Runtime, verified."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from rhapsode.v1 import bundle_pb2
from rhapsode_server.errors import RunFailed
from rhapsode_server.models.codec import Codec
from rhapsode_server.models.critic import Critic
from rhapsode_server.models.decoder import Decoder
from rhapsode_server.models.denoiser import Denoiser
from rhapsode_server.models.encoder import Encoder
from rhapsode_server.models.gibbs import GibbsSampler
from rhapsode_server.models.shared_graph import SharedGraph
from rhapsode_server.models.stepper import Stepper
from rhapsode_server.models.text_critic import TextCritic
from rhapsode_server.models.transform import Transformer
from rhapsode_server.repository import bundle as bundles
from rhapsode_server.repository import code, rehearsal, sharing, verify
from rhapsode_server.repository.attributes import Vectors
from rhapsode_server.repository.bundle import Manifest
from rhapsode_server.repository.parts import Parts, parts
from rhapsode_server.repository.problems import Problem, refusal
from rhapsode_server.repository.schema import STEP
from rhapsode_server.repository.stepping import Batching, Stepping, stepping
from rhapsode_server.repository.tokenizer import Cutter
from rhapsode_server.runtime.providers import CPU, Runtime
from rhapsode_server.runtime.session import Session


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
    form: str
    """How a step graph is stepped: "loop", "unrolled" or "plain"; empty where there is none."""
    unfused_reason: str
    """Why it is stepped one token a run though more were meant; empty where it is not."""
    decoder: Decoder | None
    encoder: Encoder | None
    gibbs: GibbsSampler | None
    denoiser: Denoiser | None
    critic: Critic | None
    """Of pictures."""
    text_critic: TextCritic | None
    attributes: Vectors
    """The direction of each named attribute, in latent space."""
    codec: Codec | None
    cutter: Cutter | None
    """What cuts text into tokens; None where that is the vocabulary alone."""
    transformer: Transformer | None
    """Of pictures; one of other tensors is in `tensors` alone."""
    tensors: Mapping[int, SharedGraph]
    """What runs each graph on rows of tensors, by its role; but for a step graph, on rows of the parts above too."""
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

    @property
    def size(self) -> int:
        """Bytes of the bundle's files."""
        return sum(file.size for file in self.bundle.files)


def load(folder: Path, runtime: Runtime, batching: Batching) -> LoadedModel:
    """Load models/<name>/<version>/; BundleError where anything is wrong with it."""
    begun = time.perf_counter()
    manifest = bundles.read(folder)
    sessions = _sessions(manifest, runtime)
    # The goldens come first: nothing is worth fusing that does not do what it says.
    verified = verify.goldens(manifest, sessions)
    made = parts(manifest.bundle, sessions, batching.max_batch)
    stepped = _stepped(manifest, sessions[STEP], runtime, batching) if STEP in sessions else None
    if stepped and stepped.form == "plain" and runtime.placement.provider != CPU:
        sessions[STEP] = runtime.session(manifest.graphs[STEP])  # two threads may run one session on the CPU alone
    codec = None if manifest.frequencies is None else code.codec(manifest.bundle, manifest.frequencies)
    heard = chain(
        _rehearsal(manifest.bundle, stepped, made, codec),
        [manifest.cutter.probe()] if manifest.cutter else (),
    )
    return LoadedModel(
        bundle=manifest.bundle,
        digest=manifest.digest,
        fingerprint=verify.fingerprint(manifest, verified, heard),
        batch_invariant=verified.batch_invariant and (stepped is None or stepped.batch_invariant),
        stepper=stepped.stepper if stepped else None,
        form=stepped.form if stepped else "",
        unfused_reason=stepped.unfused_reason if stepped else "",
        decoder=made.decoder,
        encoder=made.encoder,
        gibbs=made.gibbs,
        denoiser=made.denoiser,
        critic=made.critic,
        text_critic=made.text_critic,
        transformer=made.transformer,
        attributes=manifest.attributes,
        codec=codec,
        cutter=manifest.cutter,
        tensors=sharing.shared(manifest, sessions, made.by_role, verified.batch_invariant, batching.max_batch),
        load_seconds=time.perf_counter() - begun,
    )


def _stepped(manifest: Manifest, session: Session, runtime: Runtime, batching: Batching) -> Stepping:
    prompts = manifest.goldens[STEP].inputs["token"].tolist()
    with verify.runs(manifest, "step.onnx"):
        return stepping(manifest.bundle, manifest.graphs[STEP], session, runtime, batching, prompts)


def _sessions(manifest: Manifest, runtime: Runtime) -> dict[int, Session]:
    sessions: dict[int, Session] = {}
    for graph in manifest.bundle.graphs:
        try:
            sessions[graph.role] = runtime.session(manifest.graphs[graph.role])
        except RunFailed as error:
            raise refusal(manifest.label, Problem("V2", graph.file, error.message)) from error
    return sessions


def _rehearsal(
    bundle: bundle_pb2.Bundle, stepped: Stepping | None, made: Parts, codec: Codec | None
) -> Iterator[bytes]:
    if stepped is not None:
        yield from stepped.recital.parts()
    if made.decoder is not None:
        yield from rehearsal.paint(made.decoder)
    if made.gibbs is not None:
        yield from rehearsal.wander(made.gibbs)
    if made.denoiser is not None:
        yield from rehearsal.unveil(made.denoiser)
    if made.critic is not None:
        yield from rehearsal.judge(made.critic, bundle.image)
    if made.text_critic is not None:
        yield from rehearsal.read(made.text_critic, len(bundle.sequence.vocabulary.tokens))
    if codec is not None:
        yield rehearsal.press(codec)
