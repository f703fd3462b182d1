"""A short cut of the fuzzer of requests: whatever is sent, a status of ours comes back, and nobody else is harmed.

`python -m benchmarks.fuzz.requests` sends a hundred thousand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from benchmarks.fuzz.cases import Case, case
from benchmarks.fuzz.credentials import ONLY_SERVICE, TOKENS, Credential, sound, write_access
from benchmarks.fuzz.examples import Corpus, corpus
from benchmarks.fuzz.fuzzing import Tally, fuzz
from benchmarks.fuzz.methods import Method, methods
from benchmarks.fuzz.oracle import problems
from benchmarks.fuzz.requests import FLAGS, back
from benchmarks.fuzz.sending import Outcome
from benchmarks.fuzz.server_log import failures, secrets_told
from benchmarks.fuzz.tables import row
from benchmarks.vitals import Patient
from google.protobuf.message import DecodeError

from rhapsode_server.errors import InvalidField, PermissionDenied, QuotaExceeded, RhapsodeError, Unauthenticated
from rhapsode_server.rpc.bounds import BoundsChecker
from rhapsode_server.rpc.status import code_of, status_of
from support.fuzzed import write_fuzzed
from support.server import Process, process

NUMBERS = range(1, 301)
PATIENCE = 60.0


# A server that hands bytes which are no message on to its handlers.
PROGRAM = """
import sys
from rhapsode_server.main import main
from rhapsode_server.rpc import interceptors
interceptors.refuse_malformed = lambda request: None
sys.exit(main())
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_fuzzed(folder)
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Process]:
    with process(models, *FLAGS[2:]) as started:
        yield started


@pytest.fixture(scope="module")
def known(server: Process) -> Corpus:
    with grpc.insecure_channel(server.address) as channel:
        return corpus(channel)


async def fuzzed(server: Process, known: Corpus, numbers: Sequence[int], access: bool = False) -> Tally:
    return await fuzz(server.address, known, iter(numbers), 16, lambda _: None, access)


async def test_spoilt_requests_get_a_status_of_ours_and_leave_nothing_behind(server: Process, known: Corpus) -> None:
    patient = Patient(server.process.pid, server.metrics_address)
    before = patient.look()
    tally = await fuzzed(server, known, NUMBERS)
    assert tally.findings == []
    assert tally.sent == len(NUMBERS)
    assert tally.answers["OK", ""] > len(NUMBERS) // 5  # handlers are really reached
    assert {reason for _, reason in tally.answers} >= {"INVALID_FIELD", "MALFORMED_REQUEST", "MODEL_NOT_FOUND"}
    patient.until(lambda now: back(now, before), PATIENCE)
    assert server.stop() == 0
    assert list(failures(server.child.rest().splitlines())) == []


async def test_a_server_that_controls_access_takes_every_client_for_what_it_is(
    models: Path, known: Corpus, tmp_path: Path
) -> None:
    file = write_access(tmp_path / "access.toml")
    with process(models, *FLAGS[2:], f"--access={file}") as server:
        tally = await fuzzed(server, known, NUMBERS, access=True)
        assert tally.findings == []
        assert {reason for _, reason in tally.answers} >= {"UNAUTHENTICATED", "PERMISSION_DENIED", "QUOTA_EXCEEDED"}
        assert tally.answers["OK", ""] > len(NUMBERS) // 10
        assert server.stop() == 0
        lines = server.child.rest().splitlines()
        assert [*failures(lines), *secrets_told(lines, TOKENS)] == []


async def test_a_server_that_reads_what_is_no_message_or_serves_anybody_is_found_out(
    models: Path, known: Corpus
) -> None:
    with process(models, *FLAGS[2:], program=("-c", PROGRAM)) as broken:
        tally = await fuzzed(broken, known, NUMBERS[:100])
        assert {finding.kind for finding in tally.findings} == {"bytes"}
        open_to_all = await fuzzed(broken, known, NUMBERS[:30], access=True)
        assert "a reply to who must not have any" in {finding.what for finding in open_to_all.findings}
        assert broken.stop() == 0
        assert list(failures(broken.child.rest().splitlines()))


def test_a_number_is_a_request(known: Corpus) -> None:
    assert [case(number, known) for number in range(50)] == [case(number, known) for number in range(50)]


def test_every_method_of_every_service_is_fuzzed(known: Corpus) -> None:
    reached = {case(number, known).method.path for number in range(1000)}
    assert {method.path for method in methods()} <= reached


def refused(error: RhapsodeError, **changes: object) -> Outcome:
    status, trailing = status_of(error)
    given = {"code": code_of(error), "message": status.message, "pushback": "", "replies": ()}
    return Outcome(**({"details": dict(trailing)["grpc-status-details-bin"]} | given | changes))  # type: ignore[arg-type]  # made of parts


SENT = Case(1, "fields", methods()[0], [b"a" * 100], 60.0)


@pytest.mark.parametrize(
    "outcome",
    [
        refused(InvalidField("model", "must not be " + "a" * 30)),  # says what it was sent
        refused(InvalidField("model", "is not in /srv/models/x")),
        refused(InvalidField("model", "wrong"), message="x" * 2000),
        refused(InvalidField("model", "of\ntwo lines")),
        refused(InvalidField("model", "wrong", {"value": "x" * 300})),
        refused(InvalidField("model", "wrong"), details=b""),
        refused(InvalidField("model", "wrong"), code=grpc.StatusCode.UNKNOWN),
        refused(InvalidField("model", "wrong"), pushback="300"),
        Outcome(grpc.StatusCode.OK, "", b"", "", [b"\xff"]),
    ],
)
def test_the_oracle_sees_what_is_wrong(outcome: Outcome) -> None:
    assert list(problems(SENT, outcome))


def test_the_oracle_lets_a_sound_refusal_be() -> None:
    assert list(problems(SENT, refused(InvalidField("model", "must be set")))) == []


UNKNOWN, KNOWN = Unauthenticated("a valid credential is needed"), PermissionDenied("the credential does not allow it")
HAD_ITS_SHARE = QuotaExceeded("this client may send 2 requests a second", 0.5)
SERVED = Outcome(grpc.StatusCode.OK, "", b"", "", [])
TEXT, IMAGES, HEALTH = (
    next(method for method in methods() if method.name == name) for name in ("GenerateText", "GenerateImages", "Check")
)


@pytest.mark.parametrize(
    ("credential", "method", "outcome", "right"),
    [
        (Credential(()), TEXT, refused(UNKNOWN), True),
        (Credential(()), TEXT, SERVED, False),
        (Credential(()), TEXT, refused(InvalidField("model", "must be set")), False),
        (Credential(()), HEALTH, SERVED, True),
        (Credential(()), HEALTH, refused(UNKNOWN), False),
        (sound(), TEXT, SERVED, True),
        (sound(), TEXT, refused(UNKNOWN), False),
        (sound(), TEXT, refused(HAD_ITS_SHARE), False),
        (Credential((), known=True, limit=HAD_ITS_SHARE.reason), TEXT, refused(HAD_ITS_SHARE), True),
        (Credential((), known=True, service=ONLY_SERVICE), IMAGES, refused(KNOWN), True),
        (Credential((), known=True, service=ONLY_SERVICE), IMAGES, SERVED, False),
        (Credential((), known=True, service=ONLY_SERVICE), TEXT, refused(KNOWN), False),
        (None, TEXT, refused(UNKNOWN), False),
    ],
)
def test_the_oracle_knows_who_may_be_told_what(
    credential: Credential | None, method: Method, outcome: Outcome, right: bool
) -> None:
    asked = replace(SENT, method=method, credential=credential)
    assert (list(problems(asked, outcome)) == []) is right


def test_a_secret_in_the_log_is_seen() -> None:
    assert list(secrets_told(['{"level": "info"}', f'{{"authorization": "Bearer {TOKENS[0]}"}}'], TOKENS))


def test_a_run_is_a_line_of_markdown() -> None:
    tally = Tally()
    tally.take(SENT, refused(InvalidField("model", "must be set")))
    assert row([tally, tally], seed=7, problems=0) == "| 2 | 1 | 0 | 2 | 0 | 0 | 0 | 7 |"


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        '{"level": "error", "msg": "failed", "reason": "RUN_FAILED"}',
        '{"level": "info", "msg": "rpc", "model": "' + "a" * 3000 + '"}',
    ],
)
def test_what_no_log_should_say_is_seen(line: str) -> None:
    assert list(failures([line]))


def test_no_message_that_can_be_read_has_bounds_checked_with_anything_but_a_refusal(known: Corpus) -> None:
    checker = BoundsChecker()
    sound = 0
    for number in range(1000):
        asked = case(number, known)
        try:
            checker.check(asked.method.request.FromString(asked.messages[0]))
        except (DecodeError, InvalidField):
            continue
        sound += 1
    assert sound > 300
