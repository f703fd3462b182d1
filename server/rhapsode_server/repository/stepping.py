"""A step graph made into a stepper: fused where that can be, and why not where it cannot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rhapsode.v1 import bundle_pb2
from rhapsode_server.errors import DeviceLost, RunFailed
from rhapsode_server.models import fuse
from rhapsode_server.models.budget import RunBudget
from rhapsode_server.models.byte_alphabet import to_bytes
from rhapsode_server.models.fused import Forms, FusedSteps
from rhapsode_server.models.padding import Buckets
from rhapsode_server.models.row import Alphabet
from rhapsode_server.models.state import StateSpec
from rhapsode_server.models.stepper import Stepper
from rhapsode_server.models.steps import Steps
from rhapsode_server.models.unfused import UnfusedSteps
from rhapsode_server.repository.rehearsal import Recital, recite
from rhapsode_server.repository.tensors import DTYPES
from rhapsode_server.runtime.providers import CPU, Runtime
from rhapsode_server.runtime.session import Session

Taken = Literal["loop", "unrolled", "plain"]
Form = Literal["auto"] | Taken
RANKS = 20  # of the likeliest tokens that the unrolled form tells: the most that a request may ask for
_MOST_UNROLLED = 16  # steps: each is a copy of the graph, and takes a share of a second to load
_UNHURRIED = 60.0  # seconds: a recital takes as many steps a run as it can, whatever they cost


@dataclass(frozen=True, slots=True)
class Batching:
    """How rows are put together: most rows, most steps and seconds of a run, sizes of batches, form of the steps."""

    max_batch: int = 64
    run_steps: int = 32
    run_seconds: float = 0.05
    buckets: tuple[int, ...] = ()
    form: Form = "auto"


@dataclass(frozen=True, slots=True)
class Stepping:
    """How a step graph is served."""

    stepper: Stepper
    recital: Recital
    form: Taken
    unfused_reason: str = ""
    """Why the steps are taken one by one; empty where they are not, or were not meant to be otherwise."""
    batch_invariant: bool = True
    """Whether each row of the recital gave the same alone."""


class _Maker:
    """Makes the ways in which one step graph can be stepped."""

    def __init__(self, bundle: bundle_pb2.Bundle, content: bytes, session: Session, runtime: Runtime) -> None:
        self._content = content
        self._session = session
        self._runtime = runtime
        self.states = _states(bundle)
        self.alphabet = _alphabet(bundle)
        self._size = len(self.alphabet.tokens)

    def perform(self, way: Steps, batching: Batching, prompts: Sequence[int], only: int | None = None) -> Recital:
        """A recital in one of the ways, in batches and runs as large as they will be."""
        budget = RunBudget(_UNHURRIED, batching.run_steps)
        return recite(Stepper(way, self.alphabet, budget, batching.max_batch), prompts, only)

    def plain(self) -> Steps:
        """One token a run."""
        return UnfusedSteps(self._session, self.states, self.alphabet)

    def loop(self, batching: Batching) -> Steps:
        """Any number of tokens a run. Raises Unfusable or RunFailed."""
        session = self._runtime.session(fuse.loop(self._content, self.states, self._size)).resident()
        return FusedSteps(Forms(session, buckets=Buckets(batching.buckets)), self.states, self.alphabet)

    def unrolled(self, batching: Batching) -> Steps:
        """One, four, sixteen… tokens a run, up to `run_steps`, of `max_batch` rows. Raises Unfusable or RunFailed."""
        most = min(batching.run_steps, _MOST_UNROLLED)
        sizes = sorted({4**power for power in range(4) if 4**power <= most} | {most})
        forms = {
            steps: self._runtime.session(
                fuse.unrolled(self._content, self.states, self._size, steps, batching.max_batch, RANKS)
            ).resident()
            for steps in sizes
        }
        return FusedSteps(Forms(None, forms, Buckets([batching.max_batch])), self.states, self.alphabet)


def stepping(
    bundle: bundle_pb2.Bundle,
    content: bytes,
    session: Session,
    runtime: Runtime,
    batching: Batching,
    prompts: Sequence[int],
) -> Stepping:
    """Take the form that is asked for, if it gives the tokens that the plain one gives; the plain one if not.

    `content` is the step graph, loaded as `session`; a recital begins with each of `prompts`. Raises RunFailed where
    even the plain form cannot be run.
    """
    maker = _Maker(bundle, content, session, runtime)
    form = batching.form
    if form == "auto":
        form = "loop" if runtime.placement.provider == CPU else "unrolled"
    plain = maker.plain()
    reference = maker.perform(plain, batching, prompts)
    if form == "plain":
        return _stepping(maker, plain, reference, batching, prompts, "plain")
    try:
        fused = maker.loop(batching) if form == "loop" else maker.unrolled(batching)
        recital = maker.perform(fused, batching, prompts)
        if not recital.agrees(reference):
            raise fuse.Unfusable("fused, it gave other tokens than step by step")
    except (fuse.Unfusable, RunFailed, DeviceLost) as error:
        return _stepping(maker, plain, reference, batching, prompts, "plain", str(error))
    return _stepping(maker, fused, recital, batching, prompts, form)


def _stepping(
    maker: _Maker,
    way: Steps,
    together: Recital,
    batching: Batching,
    prompts: Sequence[int],
    form: Taken,
    reason: str = "",
) -> Stepping:
    alone = [maker.perform(way, batching, prompts, only=row) for row in range(len(together.rows))]
    budget = RunBudget(batching.run_seconds, batching.run_steps)
    return Stepping(
        Stepper(way, maker.alphabet, budget, batching.max_batch),
        together,
        form,
        reason,
        all(one.rows[0] == row for one, row in zip(alone, together.rows, strict=True)),
    )


def _states(bundle: bundle_pb2.Bundle) -> Sequence[StateSpec]:
    graph = next(graph for graph in bundle.graphs if graph.role == bundle_pb2.GRAPH_ROLE_STEP)
    inputs = {spec.name: spec for spec in graph.inputs}
    return [
        StateSpec(
            input=pair.input,
            output=pair.output,
            shape=tuple(axis.size for axis in inputs[pair.input].shape[1:]),
            dtype=DTYPES[inputs[pair.input].dtype],
            initial_value=pair.initial_value,
        )
        for pair in graph.states
    ]


def _alphabet(bundle: bundle_pb2.Bundle) -> Alphabet:
    vocabulary = bundle.sequence.vocabulary
    end = vocabulary.end_token if vocabulary.HasField("end_token") else None
    pieces = tuple(map(to_bytes, vocabulary.tokens)) if vocabulary.byte_level else ()
    return Alphabet(tuple(vocabulary.tokens), end, bundle.sequence.penalties_count_prompt, pieces)
