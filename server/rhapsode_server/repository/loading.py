"""One bundle made into a model that can be served: read, loaded into ONNX Runtime, verified."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType

import numpy as np

from rhapsode.v1 import bundle_pb2
from rhapsode_server.errors import RunFailed
from rhapsode_server.models.codec import Codec
from rhapsode_server.models.critic import Critic
from rhapsode_server.models.decoder import Decoder
from rhapsode_server.models.denoiser import Canvas, Denoiser
from rhapsode_server.models.encoder import Encoder
from rhapsode_server.models.gibbs import GibbsSampler
from rhapsode_server.models.latents import Prior
from rhapsode_server.models.stepper import Stepper
from rhapsode_server.models.tensors import TensorModel
from rhapsode_server.models.text_critic import TextCritic
from rhapsode_server.models.transform import Transformer
from rhapsode_server.repository import bundle as bundles
from rhapsode_server.repository import code, rehearsal, verify
from rhapsode_server.repository.attributes import Vectors
from rhapsode_server.repository.bundle import Manifest
from rhapsode_server.repository.problems import Problem, refusal
from rhapsode_server.repository.schema import CRITIC, DECODE, DENOISE, ENCODE, GIBBS, STEP, TRANSFORM
from rhapsode_server.repository.sequences import reads_texts
from rhapsode_server.repository.stepping import Batching, Stepping, stepping
from rhapsode_server.repository.tokenizer import Cutter
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
    """Of pictures; a transform of other tensors is verified and let go."""
    tensors: Mapping[int, TensorModel]
    """Each graph by itself, by its role."""
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
    most = batching.max_batch
    decoder = _decoder(manifest.bundle, sessions[DECODE], most) if DECODE in sessions else None
    gibbs = _gibbs(manifest.bundle, sessions[GIBBS], most) if GIBBS in sessions else None
    denoiser = _denoiser(manifest.bundle, sessions[DENOISE], most) if DENOISE in sessions else None
    # The goldens come first: nothing is worth fusing that does not do what it says.
    verified = verify.goldens(manifest, sessions)
    stepped = _stepped(manifest, sessions[STEP], runtime, batching) if STEP in sessions else None
    texts = reads_texts(manifest.bundle)
    critic = _critic(manifest.bundle, sessions[CRITIC], most) if CRITIC in sessions and not texts else None
    text_critic = TextCritic(sessions[CRITIC], manifest.bundle.sequence.longest_prompt, most) if texts else None
    codec = None if manifest.frequencies is None else code.codec(manifest.bundle, manifest.frequencies)
    heard = chain(
        _rehearsal(manifest.bundle, stepped, decoder, denoiser, gibbs, critic, text_critic, codec),
        [manifest.cutter.probe()] if manifest.cutter else (),
    )
    fingerprint = verify.fingerprint(manifest, verified, heard)
    pictures = manifest.bundle.HasField("image")
    return LoadedModel(
        bundle=manifest.bundle,
        digest=manifest.digest,
        fingerprint=fingerprint,
        batch_invariant=verified.batch_invariant and (stepped is None or stepped.batch_invariant),
        stepper=stepped.stepper if stepped else None,
        form=stepped.form if stepped else "",
        unfused_reason=stepped.unfused_reason if stepped else "",
        decoder=decoder,
        encoder=Encoder(sessions[ENCODE], most) if ENCODE in sessions else None,
        gibbs=gibbs,
        denoiser=denoiser,
        critic=critic,
        text_critic=text_critic,
        attributes=manifest.attributes,
        codec=codec,
        cutter=manifest.cutter,
        transformer=Transformer(sessions[TRANSFORM], most) if TRANSFORM in sessions and pictures else None,
        tensors={role: TensorModel(session, most) for role, session in sessions.items()},
        load_seconds=time.perf_counter() - begun,
    )


def _stepped(manifest: Manifest, session: Session, runtime: Runtime, batching: Batching) -> Stepping:
    prompts = manifest.goldens[STEP].inputs["token"].tolist()
    with verify.runs(manifest, "step.onnx"):
        return stepping(manifest.bundle, manifest.graphs[STEP], session, runtime, batching, prompts)


def _sessions(manifest: Manifest, runtime: Runtime) -> Mapping[int, Session]:
    sessions: dict[int, Session] = {}
    for graph in manifest.bundle.graphs:
        try:
            sessions[graph.role] = runtime.session(manifest.graphs[graph.role])
        except RunFailed as error:
            raise refusal(manifest.label, Problem("V2", graph.file, error.message)) from error
    return sessions


def _decoder(bundle: bundle_pb2.Bundle, session: Session, max_batch: int) -> Decoder:
    prior = _PRIORS[bundle.latent.prior]
    return Decoder(session, bundle.latent.size, prior, len(bundle.classes), max_batch)


def _gibbs(bundle: bundle_pb2.Bundle, session: Session, max_batch: int) -> GibbsSampler:
    spec = bundle.gibbs
    start = np.array(spec.start or [0.5] * spec.state_size, dtype=np.float32)
    return GibbsSampler(session, start, spec.noise_size, len(bundle.classes), max_batch)


def _denoiser(bundle: bundle_pb2.Bundle, session: Session, max_batch: int) -> Denoiser:
    image = bundle.image
    canvas = Canvas((image.channels, image.height, image.width), image.low, image.high)
    return Denoiser(session, canvas, np.array(bundle.diffusion.signal), len(bundle.classes), max_batch)


def _critic(bundle: bundle_pb2.Bundle, session: Session, max_batch: int) -> Critic:
    (graph,) = (graph for graph in bundle.graphs if graph.role == CRITIC)
    return Critic(session, any(spec.name == "class_logits" for spec in graph.outputs), max_batch)


def _rehearsal(
    bundle: bundle_pb2.Bundle,
    stepped: Stepping | None,
    decoder: Decoder | None,
    denoiser: Denoiser | None,
    gibbs: GibbsSampler | None,
    critic: Critic | None,
    text_critic: TextCritic | None,
    codec: Codec | None,
) -> Iterator[bytes]:
    if stepped is not None:
        yield from stepped.recital.parts()
    if decoder is not None:
        yield from rehearsal.paint(decoder)
    if gibbs is not None:
        yield from rehearsal.wander(gibbs)
    if denoiser is not None:
        yield from rehearsal.unveil(denoiser)
    if critic is not None:
        yield from rehearsal.judge(critic, bundle.image)
    if text_critic is not None:
        yield from rehearsal.read(text_critic, len(bundle.sequence.vocabulary.tokens))
    if codec is not None:
        yield rehearsal.press(codec)
