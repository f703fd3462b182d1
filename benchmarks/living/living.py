"""One run: learn what undisturbed models answer, load the server, change its models meanwhile, let it come to rest."""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc
from benchmarks.abuse.elsewhere import Done, begun
from benchmarks.living.changes import Changes, Step
from benchmarks.living.findings import Findings
from benchmarks.living.judging import Truth
from benchmarks.living.kinds import kinds
from benchmarks.living.load import Asked, Order, load
from benchmarks.living.operator import Operator
from benchmarks.living.weights import LETTERS, Shelf
from benchmarks.soak.history import Question, Reference
from benchmarks.soak.references import learn
from benchmarks.vitals import INTERVAL, Patient, Vitals

from rhapsode.v1 import admin_pb2
from rhapsode.v1.admin_pb2_grpc import AdminServiceStub

_POLL = 0.01
_BEGINS_WITHIN = 60.0
_SETTLED, _FALLS = 1.0, 2**18  # seconds in which no more bytes than that are given back


@dataclass(frozen=True, slots=True)
class Scale:
    """How long and how hard."""

    seconds: float = 30.0
    """In which models change."""
    quiet: float = 10.0
    """Seconds of the same load before that, in which none does."""
    loads: int = 20
    """And as many switches of aliases; one more load fails."""
    rate: float = 30.0
    """Requests a second."""
    seed: int = 1
    seeds: int = 4
    """Seeds that a kind is asked for, each with an answer that is known."""
    still: float = 0.05
    """The share of requests that are very long streams whose readers stand still for a moment."""
    warm: bool = True
    """Whether all of it is done once before anything is measured: each new session of ONNX Runtime keeps the memory of
    its largest run, and each load leaves a little the first time. Without, what is said of memory says little.
    """
    rest: float = 30.0
    """Seconds in which a server without clients has to come to rest."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server that serves version 1 of each model."""

    pid: int
    address: str
    admin_address: str
    metrics_address: str
    models: tuple[str, ...]


def live(target: Target, shelf: Shelf, scale: Scale) -> Findings:
    """Load a server that nobody else asks, and change its models."""
    patient = Patient(target.pid, target.metrics_address)
    with grpc.insecure_channel(target.admin_address) as channel:
        operator = Operator(channel, shelf)
        changes, lag = Changes(operator, target.models), _Lag(channel)
        changes.prepare()
        truth = _learn(target, operator, scale)
        fresh = _rested(patient, scale.rest)
        if scale.warm:
            with _asking(target, scale):
                time.sleep(scale.quiet)
                _change(changes, scale, lag)
            changes.rest()
        before, done, lag = _rested(patient, scale.rest), len(operator.deeds), _Lag(channel)
        with _asking(target, scale) as asked:
            time.sleep(scale.quiet)
            lag_before, changed_at = lag.most(), time.monotonic()
            _change(changes, scale, lag)
            changed_until = time.monotonic()
        changes.rest()
        after = _rested(patient, scale.rest)
    deeds = tuple(deed for deed in operator.deeds[done:] if changed_at <= deed.begun <= changed_until)
    wrong = tuple(deed for deed in operator.deeds if deed.wrong)
    return Findings(
        asked=tuple(asked),
        truth=truth,
        meant={reference: tuple(reigns) for reference, reigns in operator.reigns.of.items()},
        deeds=deeds,
        wrong=wrong,
        changed_at=changed_at,
        seconds=changed_until - changed_at,
        lag_before=lag_before,
        lag=lag.worst,
        fresh=fresh,
        before=before,
        after=after,
    )


def _learn(target: Target, operator: Operator, scale: Scale) -> Truth:
    """What each content of each model answers while nothing else happens."""
    truth: dict[tuple[Question, str], Reference] = {}
    for name in target.models:
        operator.load(name, len(LETTERS), LETTERS[-1])
        for version in range(1, len(LETTERS) + 1):
            asked, origin = kinds((name,), f"@{version}"), operator.origin(name, version)
            known = asyncio.run(learn(target.address, target.pid, asked, range(scale.seeds)))
            truth |= {(question, origin.fingerprint): answer for question, answer in known.references.items()}
        operator.unload(name, len(LETTERS))
    return truth


def _change(changes: Changes, scale: Scale, lag: "_Lag") -> None:
    """Do all that is to be done, evenly over the time; what takes longer delays what comes after it."""
    steps: list[Step] = []
    for number in range(scale.loads):
        steps += changes.beat(number)
        if number == scale.loads // 2:
            steps.append(partial(changes.fail, number))
    began = time.monotonic()
    for place, step in enumerate(steps):
        time.sleep(max(0.0, began + place * scale.seconds / len(steps) - time.monotonic()))
        step()
        lag.most()
    time.sleep(max(0.0, began + scale.seconds - time.monotonic()))


@contextmanager
def _asking(target: Target, scale: Scale) -> Iterator[list[Asked]]:
    """Clients ask while the block lasts, from when they are at it; afterwards the list has all that they were given."""
    asked: list[Asked] = []
    with tempfile.TemporaryDirectory() as folder:
        at_it, stop = Path(folder) / "begun", Path(folder) / "stop"
        order = Order(target.address, target.models, scale.seed, scale.seeds, scale.rate, scale.still, at_it, stop)
        with begun(load, order) as future:
            try:
                _wait_for(at_it, future)
                yield asked
            finally:
                stop.touch()
            asked += future.result().value


def _wait_for(path: Path, future: "Future[Done[Sequence[Asked]]]") -> None:
    limit = time.monotonic() + _BEGINS_WITHIN
    while not path.exists() and not future.done():
        if time.monotonic() > limit:
            raise TimeoutError("the clients did not begin")
        time.sleep(_POLL)


def _rested(patient: Patient, patience: float) -> Vitals:
    """A look at the server that nobody asks, once it gives back no more memory; the last where it comes to no rest.

    What loading took and left is handed back a moment after the model that was replaced has gone.
    """
    try:
        vitals = patient.until(lambda vitals: vitals.idle, patience)
    except TimeoutError:
        return patient.look()
    until = time.monotonic() + _SETTLED
    while time.monotonic() < until:
        time.sleep(INTERVAL)
        before, vitals = vitals, patient.look()
        if vitals.memory < before.memory - _FALLS:
            until = time.monotonic() + _SETTLED
    return vitals


class _Lag:
    """How late the event loop was, by the server's own account."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = AdminServiceStub(channel)
        self.worst = 0.0

    def most(self) -> float:
        """Seconds, at most, in the last ten."""
        told = self._stub.GetServerState(admin_pb2.GetServerStateRequest()).server.event_loop_lag
        seconds = told.seconds + told.nanos / 1e9
        self.worst = max(self.worst, seconds)
        return float(seconds)
