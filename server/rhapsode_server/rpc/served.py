"""A model with the drivers that step its graphs."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from rhapsode.v1 import bundle_pb2
from rhapsode_server.config import Config
from rhapsode_server.engine.driver import Driver
from rhapsode_server.engine.scheduler import Limits
from rhapsode_server.errors import RhapsodeError
from rhapsode_server.models.attributes import Move
from rhapsode_server.models.base import Model
from rhapsode_server.models.critic import CriticRow, Judgement, Probabilities
from rhapsode_server.models.decoder import ImageRow, Picture
from rhapsode_server.models.denoiser import DenoiseRow
from rhapsode_server.models.encoder import Encoded, EncodeRow
from rhapsode_server.models.gibbs import GibbsRow
from rhapsode_server.models.latents import Draw, Latent
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.tensors import TensorRow, Tensors
from rhapsode_server.models.text import TextEvent
from rhapsode_server.models.text_critic import TextCriticRow
from rhapsode_server.models.transform import Transformed, TransformRow
from rhapsode_server.observe.lanes import Role
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.observe.traces import Traces
from rhapsode_server.repository.registry import LoadedModel
from rhapsode_server.rpc.tokenizer import Tokenizer

ROLES: Mapping[int, Role] = MappingProxyType(
    {
        bundle_pb2.GRAPH_ROLE_STEP: "step",
        bundle_pb2.GRAPH_ROLE_DECODE: "decode",
        bundle_pb2.GRAPH_ROLE_ENCODE: "encode",
        bundle_pb2.GRAPH_ROLE_CRITIC: "critic",
        bundle_pb2.GRAPH_ROLE_TRANSFORM: "transform",
        bundle_pb2.GRAPH_ROLE_DENOISE: "denoise",
        bundle_pb2.GRAPH_ROLE_GIBBS: "gibbs",
    }
)
"""What each graph of a bundle does, in the words of metrics and of the Open Inference Protocol's model names."""

RowT = TypeVar("RowT")
EventT = TypeVar("EventT")
TextDriver = Driver[TextRow, TextEvent]
DecodeDriver = Driver[ImageRow, Picture]
EncodeDriver = Driver[EncodeRow, Encoded]
CriticDriver = Driver[CriticRow, Judgement]
TextCriticDriver = Driver[TextCriticRow, Probabilities]
TransformDriver = Driver[TransformRow, Transformed]
DenoiseDriver = Driver[DenoiseRow, Picture]
GibbsDriver = Driver[GibbsRow, Picture]
TensorDriver = Driver[TensorRow, Tensors]
PictureRow = ImageRow
PictureDriver = Driver[Any, Picture]
"""One that makes pictures, of whatever rows."""
AnyDriver = (
    TextDriver
    | DecodeDriver
    | EncodeDriver
    | CriticDriver
    | TextCriticDriver
    | TransformDriver
    | DenoiseDriver
    | GibbsDriver
    | TensorDriver
)
MakeRow = Callable[[int, Draw | Latent, int | None, Sequence[Move]], PictureRow]
"""What makes a row of its index, its noise, its class and its moves from there."""

Feel = Callable[[str, RhapsodeError | None], None]
"""Told why a graph cannot be run, by the name of its driver; None where it can again."""


@dataclass(frozen=True, slots=True)
class Served:
    """A loaded model, with a driver for each graph that it has."""

    loaded: LoadedModel
    text: TextDriver | None
    tokenizer: Tokenizer | None
    decode: DecodeDriver | None
    encode: EncodeDriver | None
    critic: CriticDriver | None
    text_critic: TextCriticDriver | None
    transform: TransformDriver | None
    denoise: DenoiseDriver | None
    gibbs: GibbsDriver | None
    graphs: Mapping[Role, TensorDriver]
    """What runs each graph on rows of tensors, by what the graph does: the same driver as above, but for texts."""

    @property
    def drivers(self) -> Iterator[AnyDriver]:
        """Those that there are."""
        if self.text is not None:
            yield self.text
        yield from self.graphs.values()


def _limits(config: Config) -> Limits:
    """More slots than a run has rows would make nobody faster."""
    slots = config.slots or config.max_batch
    return Limits(
        slots=slots,
        parked=2 * slots,
        queue=config.queue,
        delay=config.batch_delay_ms / 1000,
        crowd_delay=config.crowd_delay_ms / 1000,
        wait=config.queue_wait,
        long=config.long_after or math.inf,
    )


def serve(loaded: LoadedModel, config: Config, metrics: Metrics, traces: Traces, feel: Feel) -> Served:
    bundle = loaded.bundle
    name = f"{bundle.name}@{bundle.version}"
    limits = _limits(config)
    ordered = replace(limits, in_order=True)

    def driver(model: Model[RowT, EventT], limits: Limits, role: Role) -> Driver[RowT, EventT]:
        lane = metrics.lane(bundle.name, bundle.version, role, limits.slots)
        spans, lane_name = traces.lane(bundle.name, bundle.version, role), f"{name}/{role}"
        return Driver(lane_name, model, limits, lane, spans=spans, mood=partial(feel, lane_name))

    graphs: dict[Role, Driver[Any, Any]] = {}  # what is told of a row is of the row's kind, in every one of them
    for number, model in loaded.tensors.items():
        role = ROLES[number]
        steady = ordered if role in ("denoise", "gibbs") else limits
        # Texts are made with the sampler fused into the step graph: by itself it is another graph, with its own lane.
        graphs[role] = driver(model, steady, "step_raw" if role == "step" else role)
    return Served(
        loaded=loaded,
        text=driver(loaded.stepper, limits, "step") if loaded.stepper else None,
        tokenizer=Tokenizer(bundle.sequence.vocabulary, loaded.cutter) if bundle.HasField("sequence") else None,
        decode=graphs.get("decode"),
        encode=graphs.get("encode"),
        critic=graphs["critic"] if loaded.critic else None,
        text_critic=graphs["critic"] if loaded.text_critic else None,
        transform=graphs["transform"] if loaded.transformer else None,
        denoise=graphs.get("denoise"),
        gibbs=graphs.get("gibbs"),
        graphs=graphs,
    )
