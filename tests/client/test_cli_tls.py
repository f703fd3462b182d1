"""The command line and a server with TLS."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rhapsode_client.cli.main import build
from support import bundles
from support.certificates import Authority, authority
from support.server import process


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(ours: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that shows a certificate."""
    models = tmp_path_factory.mktemp("models")
    bundles.stepper().write(models)
    chain, key = ours.certificate("localhost")
    with process(models, "--tls-certificate", str(chain), "--tls-key", str(key)) as server:
        yield f"localhost:{server.address.rpartition(':')[2]}"


def models(address: str, *tls: str | Path) -> Result:
    return CliRunner().invoke(build(), ["models", "--address", address, *map(str, tls)], env={"COLUMNS": "200"})


def test_whom_to_trust_is_a_file(secured: str, ours: Authority) -> None:
    done = models(secured, "--tls-ca", ours.roots)
    assert (done.exit_code, "tiny-text" in done.stdout) == (0, True)


def test_a_file_of_something_else_is_wrong_usage(secured: str, ours: Authority) -> None:
    _, key = ours.certificate("localhost")
    done = models(secured, "--tls-ca", key)
    assert done.exit_code == 2
    assert "holds no certificates in PEM" in done.stderr


def test_who_forgets_it_is_reminded(secured: str) -> None:
    done = models(secured)
    assert done.exit_code == 1
    assert "--tls-ca where it speaks TLS" in done.stderr
