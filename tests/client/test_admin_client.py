"""Administration by the library and by the command, against a real server's other address."""

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from client.administered import Administered
from client.scripted import short_folder
from rhapsode_client import (
    AdminClient,
    AsyncAdminClient,
    Client,
    ConnectionLost,
    InvalidRequest,
    LogLevel,
    Readiness,
    UnknownMethod,
)
from rhapsode_client.cli.main import build

Runner = Callable[..., Result]


def test_it_says_what_the_server_does(administered: Administered) -> None:
    with AdminClient(administered.admin_address) as admin:
        state = admin.server_state(timeout=30)
    assert (state.readiness, state.log_level, state.certificate_expiry) == (Readiness.READY, LogLevel.INFO, None)
    assert state.uptime_seconds > 0
    assert ("tiny-text", 1, "step", 0) in [(lane.model, lane.version, lane.role, lane.queued) for lane in state.lanes]
    assert "rhapsode.v1.AdminService/GetServerState" in [rpcs.method for rpcs in state.open_rpcs]


async def test_the_asynchronous_one_does_the_same(administered: Administered) -> None:
    async with AsyncAdminClient(administered.admin_address) as admin:
        assert await admin.set_log_level(LogLevel.DEBUG) is LogLevel.INFO
        assert (await admin.server_state()).log_level is LogLevel.DEBUG
        assert await admin.set_log_level(LogLevel.INFO) is LogLevel.DEBUG
        assert await admin.set_readiness(Readiness.WITHDRAWN) is Readiness.WITHDRAWN
        assert await admin.set_readiness(Readiness.READY) is Readiness.READY
        assert await admin.reload_credentials() == ()


@pytest.mark.parametrize("address", ["10.0.0.1:1,10.0.0.2:1", "dns:///rhapsode:50052"])
def test_several_servers_are_not_administered_at_once(address: str) -> None:
    with pytest.raises(InvalidRequest, match="each server is administered by itself"):
        AdminClient(address)


def test_what_nobody_may_ask_for_is_refused_here() -> None:
    with AdminClient("unix:/nowhere") as admin:
        with pytest.raises(InvalidRequest, match="readiness"):
            admin.set_readiness(Readiness.LEAVING)
        with pytest.raises(InvalidRequest, match="level"):
            admin.set_log_level(LogLevel.UNKNOWN)
        with pytest.raises(InvalidRequest, match="version"):
            admin.set_model_alias("m", "stable", -1)


def test_a_command_is_not_sent_again() -> None:
    with short_folder() as folder, AdminClient(f"unix:{folder}/nobody") as admin, pytest.raises(ConnectionLost):
        admin.set_readiness(Readiness.WITHDRAWN, timeout=30)


def test_each_address_says_that_it_is_not_the_other(administered: Administered) -> None:
    with Client(administered.admin_address) as client, pytest.raises(UnknownMethod):
        client.generate_text("tiny-text")
    with AdminClient(administered.address) as admin, pytest.raises(UnknownMethod):
        admin.server_state()


def test_commands_of_operators(operator: Runner) -> None:
    state = operator("admin", "state")
    assert (state.exit_code, state.stderr) == (0, "")
    assert "tiny-text@1 step" in state.stdout
    assert "AdminService/GetServerState" in state.stdout
    said = json.loads(operator("admin", "state", "--json").stdout)
    assert (said["readiness"], said["log_level"], said["lanes"][0]["role"]) == ("ready", "info", "step")
    assert operator("admin", "withdraw").stdout == "withdrawn\n"
    assert json.loads(operator("admin", "ready", "--json").stdout) == {"readiness": "ready"}
    assert operator("admin", "log-level", "debug").stdout == "debug (it was info)\n"
    assert operator("admin", "log-level", "info").stdout == "info (it was debug)\n"
    assert "no credentials" in operator("admin", "reload-credentials").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("admin log-level loud", 2, "loud"),
        ("admin alias tiny-text stable", 2, "--remove"),
        ("admin alias tiny-text stable 1 --remove", 2, "--remove"),
        ("admin alias tiny-text stable 0", 2, "VERSION"),
        ("admin state --address unix:/nowhere", 1, "with unix:/nowhere as its --admin-address"),
        (
            "tokenize tiny-text a --address ADMIN",
            1,
            "the --admin-address of a server? It serves models at",
        ),
        ("admin state --address DATA", 1, "administered at its --admin-address"),
        ("admin load tiny-text --address DATA", 1, "administered at its --admin-address"),
        ("admin watch --address DATA", 1, "administered at its --admin-address"),
    ],
)
def test_what_goes_wrong_says_what_to_do(
    operator: Runner, administered: Administered, words: str, code: int, said: str
) -> None:
    given = words.replace("ADMIN", administered.admin_address).replace("DATA", administered.address)
    done = operator(*given.split())
    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr
    if code == 1:
        assert done.stderr.count("\n") == 1


def test_an_address_must_be_given() -> None:
    done = CliRunner().invoke(build(), ["admin", "state"], env={"RHAPSODE_ADMIN_ADDRESS": ""})
    assert (done.exit_code, "RHAPSODE_ADMIN_ADDRESS" in done.stderr) == (2, True)
