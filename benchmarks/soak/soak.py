"""One soak: learn what an idle server answers, load it, watch it, let it come to rest."""

import asyncio
import tempfile
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import psutil
from benchmarks.abuse.elsewhere import Done, begun
from benchmarks.soak.findings import SPARE, Findings
from benchmarks.soak.kinds import kinds
from benchmarks.soak.load import Order, Told, load
from benchmarks.soak.references import Known, learn
from benchmarks.soak.reloading import reloading
from benchmarks.soak.watch import watching
from benchmarks.vitals import Patient, Vitals

CORES = 2
STALL = 2.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How long and how hard."""

    seconds: float
    seed: int = 1
    load: float = 0.6
    """Share of two cores that the requests would take, were each alone with the server."""
    spoilt: float = 0.05
    stall: float = STALL
    """The server's --stall-timeout."""
    seeds: int = 6
    """Seeds that a kind is asked for, each with an answer that is known."""
    reload: float = 0.0
    """Seconds between two loads of models that are served already; 0 for none."""
    interval: float = 5.0
    """Seconds between two looks."""
    rest: float = 60.0
    """Seconds in which a server without clients has to come to rest."""


@dataclass(frozen=True, slots=True)
class Target:
    """The server under load."""

    pid: int
    address: str
    metrics_address: str
    admin_address: str
    models: tuple[str, ...]


def soak(target: Target, scale: Scale) -> Findings:
    """Soak a server that nobody else asks. An interrupt ends the load, not the soak."""
    patient = Patient(target.pid, target.metrics_address)
    known = asyncio.run(learn(target.address, target.pid, kinds(target.models), range(scale.seeds)))
    before = patient.until(lambda vitals: vitals.idle, scale.rest)
    rate = scale.load * CORES / known.cpu_seconds
    began = time.monotonic()
    with (
        watching(patient, scale.interval) as looks,
        reloading(target.admin_address, target.models, scale.reload) as reloads,
    ):
        said = _load(target, scale, known, rate)
    seconds = time.monotonic() - began
    after = _rested(patient, before, scale.rest) or looks[-1].vitals
    return Findings(seconds, rate, scale.seed, said, reloads, tuple(looks), before, after)


def _load(target: Target, scale: Scale, known: Known, rate: float) -> Told:
    with tempfile.TemporaryDirectory() as folder:
        stop = Path(folder) / "stop"
        order = Order(
            target.address,
            target.models,
            scale.seed,
            scale.seeds,
            rate,
            scale.seconds,
            scale.spoilt,
            scale.stall,
            stop,
            known.references,
            known.alone,
        )
        with begun(load, order) as future:
            return _awaited(future, stop).value


def _awaited(future: "Future[Done[Told]]", stop: Path) -> Done[Told]:
    try:
        return future.result()
    except KeyboardInterrupt:
        stop.touch()
        return future.result()


def _rested(patient: Patient, before: Vitals, patience: float) -> Vitals | None:
    """The first look at which nothing is left over, the last one where that does not come; None of a dead server."""

    def rested(vitals: Vitals) -> bool:
        spare = max(vitals.descriptors - before.descriptors, vitals.tasks - before.tasks)
        return vitals.idle and spare <= SPARE

    try:
        try:
            return patient.until(rested, patience)
        except TimeoutError:
            return patient.look()
    except (OSError, psutil.Error):  # histories tell of its end
        return None
