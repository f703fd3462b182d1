"""Fixtures of the client's tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from client.administered import Administered
from client.scripted import short_folder
from rhapsode_client import ChannelSettings, RetryPolicy
from rhapsode_client.cli.main import build
from support import bundles
from support.server import process


@pytest.fixture
def socket() -> Iterator[Path]:
    """A path for a server's socket."""
    with short_folder() as folder:
        yield folder / "s"


@pytest.fixture
def eager() -> ChannelSettings:
    """Settings that retry at once, five attempts in all."""
    policy = RetryPolicy(attempts=5, initial_backoff=0.001, max_backoff=0.002)
    return ChannelSettings(retry=policy, resume=policy)


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server of tiny models, as a process of its own."""
    models = tmp_path_factory.mktemp("models")
    bundles.write_all(models)
    with process(models, "--max-tokens", "64", "--max-prompt-tokens", "32") as server:
        yield server.address


@pytest.fixture(scope="session")
def administered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Administered]:
    """A real server of one small text model, which may have two in memory and is administered."""
    models = tmp_path_factory.mktemp("models")
    bundles.stepper().write(models)
    with short_folder() as folder:
        admin = f"unix:{folder}/admin"
        with process(models, "--admin-address", admin, "--max-models", "2") as server:
            yield Administered(server.address, admin, models)


@pytest.fixture
def operator(administered: Administered) -> Callable[..., Result]:
    """Run a command against that server in this process, without a terminal."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(build(), arguments, env=administered.variables)

    return run
