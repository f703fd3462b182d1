"""The command line and a server that wants to know who calls."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from typer.testing import CliRunner, Result

from rhapsode_client.cli.main import build
from support import bundles
from support.access import entry, write
from support.certificates import Authority, authority
from support.server import process

SECRET = "s3cret-token"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def address(ours: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that knows a token and a certificate, and asks every client for one of our authority's."""
    models = tmp_path_factory.mktemp("models")
    bundles.stepper().write(models)
    access = write(
        tmp_path_factory.mktemp("access") / "access.toml",
        entry("token", SECRET),
        entry("certificate", certificates=["client.example.org"], methods=["rhapsode.v1.ModelService/ListModels"]),
    )
    chain, key = ours.certificate("localhost")
    tls = ("--tls-certificate", str(chain), "--tls-key", str(key), "--tls-client-ca", str(ours.roots))
    with process(models, "--access", access, *tls) as server:
        yield f"localhost:{server.address.rpartition(':')[2]}"


def run(*words: str | Path, env: Mapping[str, str] = MappingProxyType({})) -> Result:
    return CliRunner().invoke(build(), [*map(str, words)], env={"COLUMNS": "200"} | dict(env))


def tls(ours: Authority, name: str) -> list[str | Path]:
    chain, key = ours.certificate(name)
    return ["--tls-ca", ours.roots, "--tls-cert", chain, "--tls-key", key]


def test_a_certificate_says_who_calls(address: str, ours: Authority) -> None:
    done = run("models", "--address", address, *tls(ours, "client.example.org"))
    assert (done.exit_code, "tiny-text" in done.stdout) == (0, True)
    denied = run("models", "tiny-text", "--address", address, *tls(ours, "client.example.org"))
    assert (denied.exit_code, "whoever runs the server" in denied.stderr) == (1, True)


def test_a_token_says_who_calls(address: str, ours: Authority, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n", encoding="utf-8")
    given = ["models", "--address", address, *tls(ours, "other.example.org")]
    assert run(*given, "--token-file", file).exit_code == 0
    assert run(*given, env={"RHAPSODE_TOKEN_FILE": str(file)}).exit_code == 0
    assert run(*given, env={"RHAPSODE_TOKEN": SECRET}).exit_code == 0
    assert run(*given, "--token-file", file, env={"RHAPSODE_TOKEN": "wrong"}).exit_code == 0
    stranger = run(*given)
    assert (stranger.exit_code, "see --token-file" in stranger.stderr) == (1, True)


def test_a_token_is_for_this_machine_or_for_tls(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(SECRET, encoding="utf-8")
    done = run("models", "--address", "192.0.2.1:1", "--token-file", file)
    assert (done.exit_code, "plain text" in done.stderr) == (1, True)
    assert SECRET not in done.output


@pytest.mark.parametrize("content", ["", "\n", "two words", "one\ntwo"])
def test_a_file_of_something_else_is_wrong_usage(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content, encoding="utf-8")
    done = run("models", "--token-file", file)
    assert (done.exit_code, "a token and nothing else" in done.stderr) == (2, True)


def test_half_a_certificate_is_wrong_usage(ours: Authority) -> None:
    chain, key = ours.certificate("client.example.org")
    assert run("models", "--tls-cert", chain).exit_code == 2
    assert run("models", "--tls-key", key).exit_code == 2
    swapped = run("models", "--tls-cert", key, "--tls-key", chain)
    assert (swapped.exit_code, "in PEM" in swapped.stderr) == (2, True)
