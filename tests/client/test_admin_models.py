"""Models loaded, unloaded, renamed and watched by the library and by the command, on a real server."""

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from client.administered import Administered
from client.test_cli import words
from rhapsode_client import (
    AdminClient,
    AsyncAdminClient,
    Client,
    LoadFailed,
    ModelInUse,
    ModelNotFound,
    ModelState,
    RepositoryFull,
)
from support import bundles
from support.server import clean_environment

Runner = Callable[..., Result]
NAME = "tiny-text"


@pytest.fixture
def admin(administered: Administered) -> Iterator[AdminClient]:
    with AdminClient(administered.admin_address) as client:
        yield client


@pytest.fixture
def client(administered: Administered) -> Iterator[Client]:
    with Client(administered.address) as connected:
        yield connected


@pytest.fixture(scope="module")
def second(administered: Administered) -> Path:
    """A second version, which was not there when the server started."""
    return bundles.stepper(NAME, 2).write(administered.models)


@pytest.mark.usefixtures("second")
def test_a_stream_ends_on_the_version_that_it_began_on(admin: AdminClient, client: Client, operator: Runner) -> None:
    whole = "".join(chunk.text for chunk in client.stream_text(NAME, "the ", seed=1, max_tokens=60))
    assert admin.set_model_alias(NAME, "stable", 1) == {"stable": 1}
    stream = client.stream_text(f"{NAME}@stable", "the ", seed=1, max_tokens=60)
    head = next(stream).text
    loaded = admin.load_model(f"{NAME}@2")
    assert (loaded.model, loaded.version, loaded.state, loaded.problem) == (NAME, 2, ModelState.READY, "")
    assert len(loaded.digest) == 64
    assert loaded.size > 0
    assert admin.set_model_alias(NAME, "stable", 2) == {"stable": 2}
    assert head + "".join(chunk.text for chunk in stream) == whole
    assert stream.started.version == 1
    assert client.generate_text(f"{NAME}@stable", max_tokens=1).started.version == 2
    assert client.model(f"{NAME}@stable").aliases == ("stable",)
    assert f"{NAME}@2" in next(line for line in operator("models").stdout.splitlines() if "stable" in line)
    assert "stable" in operator("models", f"{NAME}@2").stdout
    with pytest.raises(ModelInUse):
        admin.unload_model(f"{NAME}@2")
    assert admin.set_model_alias(NAME, "stable", None) == {}
    (gone,) = admin.unload_model(f"{NAME}@2")
    assert (gone.version, gone.state, gone.size) == (2, ModelState.UNLOADED, 0)
    with pytest.raises(ModelNotFound):
        client.model(f"{NAME}@2")


@pytest.mark.usefixtures("second")
async def test_the_asynchronous_one_hears_of_each_change(administered: Administered) -> None:
    async with AsyncAdminClient(administered.admin_address) as admin:
        news = admin.watch_models()
        known = await anext(news)
        assert [each.version for each in known if each.state is ModelState.READY] == [1]
        await admin.load_model(f"{NAME}@2")
        states = []
        while ModelState.READY not in states:
            states += [each.state for each in await anext(news) if each.version == 2]
        assert await admin.unload_model(f"{NAME}@2")
        while ModelState.UNLOADED not in states:
            states += [each.state for each in await anext(news) if each.version == 2]
        await news.aclose()
        now = {each.version: each.state for each in await admin.models()}
        assert (now[1], now[2]) == (ModelState.READY, ModelState.UNLOADED)


def test_a_load_that_fails_says_why(admin: AdminClient, administered: Administered, operator: Runner) -> None:
    broken = bundles.stepper(NAME, 3).write(administered.models)
    (broken / "step.onnx").write_bytes(b"not a graph")
    with pytest.raises(LoadFailed, match=r"step\.onnx"):
        admin.load_model(f"{NAME}@3")
    with pytest.raises(ModelNotFound):
        admin.load_model(f"{NAME}@4")
    done = operator("admin", "load", f"{NAME}@3")
    assert (done.exit_code, done.stderr.count("\n"), "step.onnx" in done.stderr) == (1, 1, True)
    failed = next(each for each in admin.models() if each.version == 3)
    assert (failed.state, "step.onnx" in failed.problem) == (ModelState.FAILED, True)
    row = next(line for line in operator("admin", "models").stdout.splitlines() if line.startswith(f"{NAME}@3"))
    assert "failed" in row
    assert "step.onnx" in row


def test_more_than_may_be_in_memory_is_refused(
    admin: AdminClient, administered: Administered, operator: Runner
) -> None:
    for version in (5, 6):
        bundles.stepper(NAME, version).write(administered.models)
    admin.load_model(f"{NAME}@5")
    with pytest.raises(RepositoryFull):
        admin.load_model(f"{NAME}@6")
    done = operator("admin", "load", f"{NAME}@6")
    assert (done.exit_code, "`rhapsode admin unload` makes room" in done.stderr) == (1, True)
    admin.unload_model(f"{NAME}@5")


@pytest.mark.usefixtures("second")
def test_the_commands(operator: Runner) -> None:
    table = operator("admin", "load", f"{NAME}@2")
    assert (table.exit_code, table.stderr) == (0, "")
    assert re.search(rf"{NAME}@2 +ready", table.stdout)
    one = operator("admin", "models", f"{NAME}@2", "--json")
    assert [json.loads(line)["version"] for line in one.stdout.splitlines()] == [2]
    assert len(operator("admin", "models", NAME, "--json").stdout.splitlines()) > 1
    assert operator("admin", "models", "nobody").exit_code == 2
    assert operator("admin", "alias", NAME, "canary", "2").stdout == f"{NAME}@canary is {NAME}@2\n"
    in_use = operator("admin", "unload", f"{NAME}@2")
    assert (in_use.exit_code, "`rhapsode admin alias` moves or removes" in in_use.stderr) == (1, True)
    assert json.loads(operator("admin", "alias", NAME, "canary", "--remove", "--json").stdout)["aliases"] == {}
    assert json.loads(operator("admin", "unload", f"{NAME}@2", "--json").stdout)["state"] == "unloaded"
    nobody = operator("admin", "unload", "nobody")
    assert (nobody.exit_code, "`rhapsode admin models` lists" in nobody.stderr) == (1, True)


def test_a_watch_prints_changes_until_somebody_ends_it(admin: AdminClient, administered: Administered) -> None:
    environment = clean_environment() | dict(administered.variables)
    command = words("admin", "watch", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as watch:
        assert watch.stdout is not None
        first = json.loads(watch.stdout.readline())
        assert (first["version"], first["state"], first["aliases"]) == (1, "ready", [])
        admin.set_model_alias(NAME, "watched", 1)
        while json.loads(watch.stdout.readline())["aliases"] != ["watched"]:
            pass
        watch.send_signal(signal.SIGINT)
        _, complaints = watch.communicate(timeout=30)
    admin.set_model_alias(NAME, "watched", None)
    assert watch.returncode == 130
    assert b"Traceback" not in complaints
