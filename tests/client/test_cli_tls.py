"""The command line and a server with TLS."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rhapsode_client.cli.main import build
from support import bundles
from support.certificates import Authority, authority
from support.server import clean_environment, process


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


def test_what_is_wrong_with_the_certificate_is_told(secured: str, ours: Authority, tmp_path: Path) -> None:
    port = secured.rpartition(":")[2]
    done = models(f"127.0.0.1:{port}", "--tls-ca", ours.roots)
    assert (done.exit_code, "certificate is for another host" in done.stderr) == (1, True)
    done = models(f"127.0.0.1:{port}", "--tls-ca", authority(tmp_path / "theirs").roots)
    assert (done.exit_code, "certificate is not to be trusted" in done.stderr) == (1, True)


def test_who_speaks_tls_to_plain_text_is_told_in_one_line(address: str, ours: Authority) -> None:
    """gRPC's core has a line for each of its handshakes, unless it is told to be quiet before it is imported."""
    words = ["-m", "rhapsode_command", "models", "--address", address, "--tls-ca", str(ours.roots)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=clean_environment(), timeout=60)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert done.stderr.startswith("rhapsode: the server speaks plain text, and was spoken to in TLS: ")
    assert "--tls-ca where it speaks TLS and only there" in done.stderr


def test_who_forgets_it_is_reminded(secured: str) -> None:
    done = models(secured)
    assert done.exit_code == 1
    assert "--tls-ca where it speaks TLS" in done.stderr
