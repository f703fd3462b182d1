"""Fixtures of the client's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from client.scripted import short_folder
from rhapsode_client import ChannelSettings, RetryPolicy
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
