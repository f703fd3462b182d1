"""What the graphs of a bundle mean, a step graph's apart: a model for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from rhapsode.v1 import bundle_pb2
from rhapsode_server.models.critic import Critic
from rhapsode_server.models.decoder import Decoder
from rhapsode_server.models.denoiser import Canvas, Denoiser
from rhapsode_server.models.encoder import Encoder
from rhapsode_server.models.gibbs import GibbsSampler
from rhapsode_server.models.graph_model import GraphModel
from rhapsode_server.models.latents import Prior
from rhapsode_server.models.text_critic import TextCritic
from rhapsode_server.models.transform import Transformer
from rhapsode_server.repository.schema import CRITIC, DECODE, DENOISE, ENCODE, GIBBS, TRANSFORM
from rhapsode_server.repository.sequences import reads_texts
from rhapsode_server.runtime.session import Session

_PRIORS: Mapping[int, Prior] = MappingProxyType(
    {bundle_pb2.LATENT_PRIOR_NORMAL: Prior.NORMAL, bundle_pb2.LATENT_PRIOR_UNIFORM: Prior.UNIFORM}
)


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Those that a bundle has not are None."""

    decoder: Decoder | None
    encoder: Encoder | None
    gibbs: GibbsSampler | None
    denoiser: Denoiser | None
    critic: Critic | None
    """Of pictures."""
    text_critic: TextCritic | None
    transformer: Transformer | None
    """Of pictures; a transform of other tensors means nothing here."""

    @property
    def by_role(self) -> Mapping[int, GraphModel[Any, Any] | None]:
        """Each by the role of its graph."""
        return {
            DECODE: self.decoder,
            ENCODE: self.encoder,
            GIBBS: self.gibbs,
            DENOISE: self.denoiser,
            CRITIC: self.critic or self.text_critic,
            TRANSFORM: self.transformer,
        }


def parts(bundle: bundle_pb2.Bundle, sessions: Mapping[int, Session], max_batch: int) -> Parts:
    """The models of the graphs that these sessions run, by their roles."""
    texts, pictures = reads_texts(bundle), bundle.HasField("image")
    return Parts(
        decoder=_decoder(bundle, sessions[DECODE], max_batch) if DECODE in sessions else None,
        encoder=Encoder(sessions[ENCODE], max_batch) if ENCODE in sessions else None,
        gibbs=_gibbs(bundle, sessions[GIBBS], max_batch) if GIBBS in sessions else None,
        denoiser=_denoiser(bundle, sessions[DENOISE], max_batch) if DENOISE in sessions else None,
        critic=_critic(bundle, sessions[CRITIC], max_batch) if CRITIC in sessions and not texts else None,
        text_critic=TextCritic(sessions[CRITIC], bundle.sequence.longest_prompt, max_batch) if texts else None,
        transformer=Transformer(sessions[TRANSFORM], max_batch) if TRANSFORM in sessions and pictures else None,
    )


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
