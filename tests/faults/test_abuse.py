"""The scenarios of `make abuse` at a small scale: what they count is asserted here, what they time is not."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.abuse import asked, attacks, stop, vanished
from benchmarks.abuse.beside import beside
from benchmarks.abuse.cancelled import cancel, cancel_streams
from benchmarks.abuse.crowding import crowd
from benchmarks.abuse.given_up import give_up
from benchmarks.abuse.good import GoodClient, Served
from benchmarks.abuse.hold import holding
from benchmarks.abuse.idle import idle
from benchmarks.abuse.leftover import Leftover
from benchmarks.abuse.scrapers import ask
from benchmarks.abuse.silent import be_silent
from benchmarks.abuse.stalled import stand_still
from benchmarks.abuse.victim import Victim, serving
from benchmarks.abuse.wire import PICTURE_STREAM, TEXT_STREAM
from benchmarks.vitals import Patient

from support import broken_server, bundles
from support.server import process

TEXT, PICTURES = "tiny-text", "tiny-faces"
FLOODS = {
    attacks.rapid_reset: 500,
    attacks.pings: 100,
    attacks.settings: 200,
    attacks.packed_headers: 1,
    attacks.fat_headers: 1,
    attacks.endless_headers: 500,
    attacks.long_messages: 1,
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    bundles.stepper().write(folder)
    bundles.autoencoder().write(folder)
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Victim]:
    """One server for all that it is expected to survive."""
    with serving(models) as started:
        yield started
        assert started.stop() == 0


def assert_nothing_left(left: Leftover) -> None:
    assert left.slots <= 0
    assert left.open_rpcs <= 0
    assert left.tasks <= 0
    assert left.descriptors <= 0


def assert_served(good: Served) -> None:
    assert [promise for promise in good.promises() if not promise.held] == []
    assert (good.failures, good.changed) == ((), 0)


def test_nothing_is_left_of_cancelled_streams_nor_of_floods_and_nobody_notices(server: Victim) -> None:
    """All in this process: to start one for each takes longer than what it does."""
    kinds = (TEXT_STREAM, asked.text_stream(model=TEXT)), (PICTURE_STREAM, asked.picture_stream(10_000, PICTURES))

    def attack() -> dict[str, Counter[str]]:
        assert cancel_streams(server.address, kinds, 300, seed=1)[1] == 300
        scraped, _ = ask(server.metrics_address, 0.5)
        assert scraped > 0
        return {each.__name__: each(server.address, count).endings for each, count in FLOODS.items()}

    found = beside(server, attack, model=TEXT)
    assert_nothing_left(found.left)
    assert_served(found.good)
    ended = {name: {end for end, count in ends.items() if count} for name, ends in found.value.items()}
    assert ended.pop("endless_headers") <= {"RESOURCE_EXHAUSTED"}  # or borne: gRPC cuts it off now and then only
    assert ended == {
        "rapid_reset": set(),
        "pings": {"GOAWAY ENHANCE_YOUR_CALM"},
        "settings": set(),
        "packed_headers": {"RESOURCE_EXHAUSTED"},
        "fat_headers": {"RESOURCE_EXHAUSTED"},
        "long_messages": {"RESOURCE_EXHAUSTED"},
    }


def test_a_server_that_keeps_what_was_cancelled_does_not_hold_it(models: Path) -> None:
    with process(models, "--max-batch=64", program=(broken_server.__file__, "leak_a_slot")) as started:
        patient = Patient(started.process.pid, started.metrics_address)
        server = Victim(started.child, started.address, started.metrics_address, patient)
        found = cancel(server, warm_up=0, streams=40, model=TEXT, pictures=PICTURES, patience=0.3)
    assert found.left.slots > 0
    assert not all(promise.held for promise in found.promises())


def test_a_good_client_is_not_held_to_be_served_where_it_is_not(server: Victim) -> None:
    client = GoodClient(server.address, TEXT)
    client.start()
    client._channel.close()  # every request raises from now on, and no gRPC error
    while not client._record.failures:
        time.sleep(0.01)
    client.stop()
    assert not all(promise.held for promise in client.served().promises())
    never = Served(seconds=9.0, succeeded=3, failed=0, changed=0, p50_ms=0.0, p99_ms=0.0, failures=())
    assert [promise.held for promise in never.promises()] == [False, True, True]


def test_idle_streams_are_held_and_let_go(server: Victim) -> None:
    found = idle(server, streams=250, seconds=0.1, model=TEXT)
    assert found.begun == 250
    assert_nothing_left(found.left)
    assert_served(found.good)


def test_readers_that_stand_still_are_borne(server: Victim) -> None:
    found = stand_still(server, readers=3, rounds=1, seconds=0.1, requests=2, text=TEXT, pictures=PICTURES)
    (only,) = found.rounds
    assert (only.parked, only.given_up, len(only.request_seconds)) == (3, 0, 2)
    assert min(only.before, only.beside, only.after) > 0
    assert_nothing_left(found.left)


def test_readers_that_stand_still_for_too_long_are_given_up(models: Path) -> None:
    with serving(models, "--stall-timeout=0.5") as server:
        found = give_up(server, 3, PICTURES)
    assert (found.given_up, found.slots) == (3, 0)
    assert_nothing_left(found.left)


def test_clients_that_vanish_give_their_slot_back(models: Path) -> None:
    pinged = ("--keepalive-time=1", "--keepalive-timeout=1")
    with serving(models, *vanished.ONE_SLOT, *pinged) as server:
        killed = vanished.kill(server, 3, TEXT)
        frozen = vanished.freeze(server, 1, TEXT)
    assert (len(killed.milliseconds), len(frozen.seconds)) == (3, 1)
    assert_nothing_left(killed.left)
    assert_nothing_left(frozen.left)


def test_a_stop_loses_nothing_though_some_wait_for_a_slot(models: Path) -> None:
    with serving(models, "--slots=6", *stop.WAITING, "--grace=60", "--max-tokens=100000") as server:
        found = stop.stop(server, requests=8, tokens=20_000, model=TEXT)
    assert found.queued == 2
    assert (found.finished, found.failures, found.hung, found.exit_code) == (8, (), 0, 0)


def test_watchers_without_a_window_do_not_keep_a_server_from_stopping(models: Path) -> None:
    """D9. Their calls cannot be ended; the grace, and what comes behind it, bound the stop all the same."""
    with serving(models, "--grace=1") as server, holding(stop.watch_blindly, server.address, 3):
        assert server.stop() == 0


def test_too_many_connections_hurt_nobody_who_is_there(models: Path) -> None:
    """Those that speak HTTP/2 are held up to the cap, those that say nothing are closed in time."""
    with serving(models, "--max-connections=20") as server:
        spoken = crowd(server, connections=40, most=20, seconds=0.0, model=TEXT)
        silent = be_silent(server, 40, TEXT)
    assert 0 < spoken.held < 20
    assert (silent.closed.open_still, silent.closed.at_once + silent.closed.later) == (0, 40)
    for found in (spoken, silent):
        assert_nothing_left(found.left)
        assert_served(found.good)
