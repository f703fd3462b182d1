"""A start says all that is wrong with its settings at once, before it loads anything."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rhapsode_server.errors import ConfigError, StartupError
from rhapsode_server.serve.preflight import all_at_once
from support.server import clean_environment, command


@pytest.fixture
def taken() -> Iterator[str]:
    """The address of somebody who listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def ended(*flags: str, **variables: str) -> tuple[int, list[str]]:
    """The exit code of a server, and the lines of its standard error."""
    done = subprocess.run(
        command(*flags), capture_output=True, text=True, env=clean_environment() | variables, timeout=60
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_all_that_is_wrong_is_said_at_once(taken: str, tmp_path: Path, workers: str) -> None:
    flags = {
        "--models": str(tmp_path / "nowhere"),
        "--address": taken,
        "--metrics-address": taken,
        "--tls-certificate": str(tmp_path / "none.pem"),
        "--tls-key": str(tmp_path / "none.key"),
        "--batch-buckets": "8,4096",
        "--workers": workers,
    }
    code, lines = ended(*(word for pair in flags.items() for word in pair), OTEL_TRACES_EXPORTER="jaeger")
    assert code == 2
    beginnings = (
        "OTEL_TRACES_EXPORTER: ",
        "--batch-buckets: ",
        "--tls-certificate: ",
        "--tls-key: ",
        "no model in the folder",
        f"--address {taken} cannot be listened on",
        f"--metrics-address {taken} cannot be listened on",
    )
    assert [line.startswith(beginning) for line, beginning in zip(lines, beginnings, strict=True)] == [True] * 7


def test_an_address_that_cannot_be_had_is_said_with_its_flag(taken: str, tmp_path: Path) -> None:
    """Of a socket too, whose folder there is not: before models are loaded, whose lack is said beside it."""
    nowhere = f"unix:{tmp_path / 'no/such'}"
    flags = (f"--models={tmp_path}", f"--address={nowhere}", f"--admin-address={taken}", "--metrics-address=")
    code, lines = ended(*flags)
    assert (code, len(lines)) == (2, 3)
    assert lines[1] == f"--address {nowhere} cannot be listened on: {tmp_path / 'no'}: No such file or directory"
    assert lines[2].startswith(f"--admin-address {taken} cannot be listened on: ")


def test_missing_models_alone_are_no_wrong_option(tmp_path: Path) -> None:
    code, lines = ended("--models", str(tmp_path), "--metrics-address", "")
    assert (code, len(lines)) == (1, 1)


def test_a_check_needs_no_address(taken: str, tmp_path: Path) -> None:
    code, lines = ended("--check", "--models", str(tmp_path), "--address", taken, "--metrics-address", taken)
    assert code == 1
    assert [line.startswith("no model in the folder") for line in lines] == [True]


def test_flags_and_variables_are_said_together() -> None:
    code, lines = ended("--max-batch", "0", "--adress", "x", RHAPSODE_PORT="1", RHAPSODE_GRACE="long")
    assert code == 2
    assert len(lines) == 4


def test_the_graver_kind_is_what_counts() -> None:
    def fails(error: StartupError) -> None:
        raise error

    with pytest.raises(ConfigError, match=r"^one\ntwo$"):
        all_at_once(lambda: fails(StartupError("one")), lambda: None, lambda: fails(ConfigError("two")))
    with pytest.raises(StartupError) as caught:
        all_at_once(lambda: fails(StartupError("one")))
    assert not isinstance(caught.value, ConfigError)
    all_at_once()
