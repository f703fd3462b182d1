"""The commands say in one line what to install where only the client is."""

import subprocess
import sys
import tomllib

import pytest
from deploy.local_server import environment

from house.project import ROOT

SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]


def run(script: str, *flags: str, without: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a console script where a library is not installed."""
    module, _, function = SCRIPTS[script].partition(":")
    program = f"import sys; sys.modules[{without!r}] = None; from {module} import {function}; {function}()"
    return subprocess.run([sys.executable, "-c", program, *flags], capture_output=True, text=True, env=environment())


@pytest.mark.parametrize(
    ("script", "library", "extra"),
    [
        ("rhapsode-server", "pydantic", "server"),
        ("rhapsode-server", "structlog", "server"),
        ("rhapsode-server", "onnxruntime", "server"),
        ("rhapsode-server", "grpc_health", "server"),
        ("rhapsode-train", "torch", "exporter"),
    ],
)
def test_what_is_not_installed_is_named(script: str, library: str, extra: str) -> None:
    ended = run(script, without=library)
    assert ended.returncode == 1
    assert ended.stderr == f"{script}: {library} is not installed: pip install 'rhapsode[{extra}]'\n"


def test_a_part_of_ours_that_is_missing_is_a_fault() -> None:
    ended = run("rhapsode-server", without="rhapsode_server.config")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr


def test_the_client_needs_neither() -> None:
    assert run("rhapsode", "--help", without="pydantic").returncode == 0


def test_options_go_through() -> None:
    assert run("rhapsode-server", "--no-such-flag", without="-").returncode == 2
