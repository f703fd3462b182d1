"""Clients generated from the protos alone, in other languages, get what the Python client gets."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from languages import toolchains
from rhapsode_client import Client, InvalidRequest
from support import bundles
from support.server import process

pytestmark = [pytest.mark.languages, pytest.mark.timeout(900)]  # the first time, Go compiles gRPC

MODEL, PROMPT = "tiny-text", "ab"
TOKENS = ("\n", " ", "a", "b", "é", "語", "😀", ".")  # one to four bytes of UTF-8 each
PATIENT = ("--queue-wait", "86400", "--default-deadline", "86400", "--maximum-deadline", "86400")  # all may wait
MORE = 64  # tokens that a client asks for, whole or after a cancellation
SEEDS = (0, 2**64 - 1)  # one that is lost where presence is, one that is lost where numbers are doubles


@dataclass(frozen=True)
class Seen:
    """What a client read from one stream."""

    seed: int | None
    fingerprint: str
    text: str
    token_ids: Sequence[int]
    code: int
    violations: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Smoke:
    """What a client saw: a whole stream, one that it cancelled, the same gone on with, and a refused one."""

    whole: Seen
    cancelled: Seen
    resumed: Seen
    refused: Seen


def read(seen: dict[str, Any]) -> Seen:
    """One stream as a client prints it: what is null is empty, and 64-bit numbers may be strings."""
    started = seen["started"]
    violations = [(violation["field"], violation["description"]) for violation in seen["violations"] or ()]
    return Seen(
        seed=None if started is None else int(started.get("seed", 0)),
        fingerprint="" if started is None else started["fingerprint"],
        text=seen["text"],
        token_ids=seen["token_ids"] or (),
        code=seen["code"],
        violations=violations,
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that works for one stream at a time: who goes on after a cancelled one waits until it has ended."""
    models = tmp_path_factory.mktemp("models")
    bundles.stepper(MODEL, tokens=TOKENS).write(models)
    with process(models, "--slots", "1", *PATIENT, "--max-tokens", "1000000") as server:
        yield server.address


@pytest.fixture(scope="module")
def python(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client


@pytest.fixture(scope="module", params=["node", "go"])
def words(request: pytest.FixtureRequest) -> Sequence[str]:
    """What starts a client."""
    if request.param == "node":
        return toolchains.node(toolchains.HERE / "node/smoke.mjs")
    return toolchains.go(toolchains.HERE / "go/smoke.go")


@pytest.fixture(scope="module", params=SEEDS)
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def smoke(words: Sequence[str], seed: int, address: str) -> Smoke:
    """What a client saw when it ran."""
    folders = (str(toolchains.PROTOS), str(toolchains.GOOGLEAPIS))
    done = subprocess.run(
        [*words, address, MODEL, str(seed), *folders], capture_output=True, text=True, encoding="utf-8", timeout=300
    )
    assert done.returncode == 0, done.stderr
    return Smoke(**{name: read(seen) for name, seen in json.loads(done.stdout).items()})


def test_a_stream_is_the_same(smoke: Smoke, seed: int, python: Client) -> None:
    expected = python.generate_text(MODEL, PROMPT, seed=seed, max_tokens=MORE)
    whole = smoke.whole
    assert (whole.seed, whole.fingerprint, whole.code) == (seed, expected.started.fingerprint, 0)
    assert (whole.text, whole.token_ids) == (expected.text, list(expected.candidates[0].token_ids))
    assert len(whole.token_ids) == MORE


def test_a_cancelled_stream_goes_on_where_it_was_left(smoke: Smoke, seed: int, python: Client) -> None:
    cancelled, resumed = smoke.cancelled, smoke.resumed
    together = [*cancelled.token_ids, *resumed.token_ids]
    expected = python.generate_text(MODEL, PROMPT, seed=seed, max_tokens=len(together))
    assert (cancelled.code, resumed.code) == (grpc.StatusCode.CANCELLED.value[0], 0)
    assert len(cancelled.token_ids) > 0
    assert len(resumed.token_ids) == MORE
    assert (cancelled.text + resumed.text, together) == (expected.text, list(expected.candidates[0].token_ids))


def test_a_refusal_names_its_field(smoke: Smoke, python: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        python.generate_text(MODEL, PROMPT, top_p=1.5)
    expected = [(violation.field, violation.description) for violation in caught.value.field_violations]
    assert smoke.refused.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert smoke.refused.violations == expected
    assert [field for field, _ in expected] == ["generation.sampling.top_p"]
