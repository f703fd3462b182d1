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

from rhapsode_server.engine.scheduler import Scheduler
from support import broken_server
from support.kinds import LONG, SHORT, TINY
from support.late import done_in_vain
from support.requests import ENDLESS
from support.server import Process, load, process, running

PROGRAM = Path(broken_server.__file__)
SEEDS = range(4)
SOON, PATIENCE = 1.0, 60.0  # seconds after which a slot is called leaked, and for which a good server is waited for
MANY = 40


@contextmanager
def broken(folder: Path, *names: str) -> Iterator[Process]:
    """A server that breaks these promises: several that have nothing in common, since a start costs."""
    with process(folder, program=(str(PROGRAM), ",".join(names))) as server:
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


def test_a_token_that_is_lost_is_seen(one_model: Path, references: References) -> None:
    with broken(one_model, "drop_a_token") as server:
        assert {3, 5} <= _found(asyncio.run(_company(server.address, references)))


def test_rows_that_are_mixed_and_a_deadline_that_passes_too_early_are_seen(
    one_model: Path, references: References
) -> None:
    with broken(one_model, "mix_rows", "expire_early") as server:
        assert 5 in _found(asyncio.run(_company(server.address, references)))
        assert _found(check(asyncio.run(_late(server.address)))) == {7}


async def test_a_deadline_that_nobody_looks_at_is_seen(one_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scheduler, "add", Scheduler.add)  # undoes what follows
    broken_server.skip_the_deadline()
    async with running(load(one_model), slots=1, max_tokens=ENDLESS, default_deadline=0.05) as server:
        assert await done_in_vain(server, 20) == [
            "20 ended with OK",
            "20 were run",
            "0 were counted as expired in the queue",
        ]


def test_memory_that_stays_and_slots_that_leak_are_seen(one_model: Path, references: References) -> None:
    with broken(one_model, "keep_memory", "leak_a_slot") as server:
        assert _grown(server) > 0.9
        _see_slots_that_stay(server)


def test_a_slot_of_work_that_goes_on_is_seen(one_model: Path, references: References) -> None:
    with broken(one_model, "swallow_a_cancel") as server:
        _see_slots_that_stay(server)


def _see_slots_that_stay(server: Process) -> None:
    before = _patient(server).look()
    asyncio.run(_cancelled(server.address))
    left = leftover(_patient(server), before, patience=SOON)
    assert left.slots > 0
    assert not all(promise.held for promise in left.promises())


def _found(offences: Sequence[Offence]) -> set[int]:
    return {offence.promise for offence in offences}
