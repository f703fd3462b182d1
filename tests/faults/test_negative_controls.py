"""Proof that the detectors can fail: a server that breaks a promise is caught, and one that breaks none is not."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from benchmarks.abuse.leftover import leftover
from benchmarks.soak.checks import Offence, check
from benchmarks.soak.history import CANCELLED, OK, Record, References
from benchmarks.soak.recorder import ANSWERED, Recorder, Wish
from benchmarks.soak.references import learn
from benchmarks.vitals import Patient

from support import broken_server
from support.kinds import LONG, SHORT, TINY
from support.server import Process, load, process, running

PROGRAM = Path(broken_server.__file__)
SEEDS = range(4)
SOON, PATIENCE = 1.0, 60.0  # seconds after which a slot is called leaked, and for which a good server is waited for
MANY = 40


@contextmanager
def broken(folder: Path, name: str) -> Iterator[Process]:
    with process(folder, program=(str(PROGRAM), name)) as server:
        yield server


async def _company(address: str, references: References) -> Sequence[Offence]:
    """What is wrong with requests that are made at once."""
    async with grpc.aio.insecure_channel(address) as channel:
        recorder = Recorder(channel)
        history = await asyncio.gather(*(recorder.ask(SHORT, seed) for seed in (*SEEDS, *SEEDS)))
    return check(history, references)


async def _cancelled(address: str, count: int = 4) -> Sequence[Record]:
    """Long streams that are cancelled when they have begun."""
    async with grpc.aio.insecure_channel(address) as channel:
        recorder = Recorder(channel)
        wish = Wish((*ANSWERED, CANCELLED), cancel_at=1)
        return await asyncio.gather(*(recorder.ask(LONG, seed, wish) for seed in range(count)))


async def _late(address: str) -> Sequence[Record]:
    """A stream with a deadline that it cannot keep."""
    async with grpc.aio.insecure_channel(address) as channel:
        wish = Wish((OK, "DEADLINE_EXPIRED", "DEADLINE_EXCEEDED"), timeout=0.4)
        return [await Recorder(channel).ask(LONG, 1, wish)]


def _patient(server: Process) -> Patient:
    return Patient(server.process.pid, server.metrics_address)


def _grown(server: Process) -> float:
    """MiB for each of many requests, after one has been served."""
    patient = _patient(server)

    async def ask() -> None:
        async with grpc.aio.insecure_channel(server.address) as channel:
            recorder = Recorder(channel)
            await recorder.ask(TINY, 0)
            before.append(patient.look().memory)
            await asyncio.gather(*(recorder.ask(TINY, seed) for seed in range(MANY)))

    before: list[int] = []
    asyncio.run(ask())
    return (patient.look().memory - before[0]) / MANY / 2**20


@pytest.fixture(scope="module")
def references(one_model: Path) -> References:
    """What a server that breaks nothing answers; it passes every detector."""
    with broken(one_model, "nothing") as server:
        known = asyncio.run(learn(server.address, server.process.pid, [SHORT], SEEDS)).references
        assert asyncio.run(_company(server.address, known)) == []
        assert check(asyncio.run(_late(server.address))) == []
        before = _patient(server).look()
        assert check(asyncio.run(_cancelled(server.address))) == []
        assert leftover(_patient(server), before, patience=PATIENCE).slots == 0
        assert _grown(server) < 0.5
        return known


async def test_a_recorder_that_is_interrupted_records_nothing(one_model: Path) -> None:
    async with running(load(one_model)) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await Recorder(server.channel).ask(LONG, 1)


@pytest.mark.parametrize(("name", "promises"), [("drop_a_token", {3, 5}), ("mix_rows", {5})])
def test_a_history_shows_it(one_model: Path, references: References, name: str, promises: set[int]) -> None:
    with broken(one_model, name) as server:
        found = asyncio.run(_company(server.address, references))
        assert promises <= {offence.promise for offence in found}


def test_a_deadline_that_passes_too_early_is_seen(one_model: Path, references: References) -> None:
    with broken(one_model, "expire_early") as server:
        assert {offence.promise for offence in check(asyncio.run(_late(server.address)))} == {7}


@pytest.mark.parametrize("name", ["leak_a_slot", "swallow_a_cancel"])
def test_a_slot_that_stays_is_seen(one_model: Path, references: References, name: str) -> None:
    with broken(one_model, name) as server:
        before = _patient(server).look()
        asyncio.run(_cancelled(server.address))
        left = leftover(_patient(server), before, patience=SOON)
        assert left.slots > 0
        assert not all(promise.held for promise in left.promises())


def test_memory_that_stays_is_seen(one_model: Path, references: References) -> None:
    with broken(one_model, "keep_memory") as server:
        assert _grown(server) > 0.9
