"""The operators' table of commands says which rpcs each of them calls."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from house.project import ROOT
from rhapsode_client.cli.main import build
from rhapsode_server.rpc.methods import MODEL_CONTROL, is_served

ROW = re.compile(r"^\| `(rhapsode [a-z -]+)` \| (.*) \|$", re.MULTILINE)
RPC = re.compile(r"`([A-Z][a-z]+Service)/([A-Z][A-Za-z]+)`")


def rows() -> dict[str, list[tuple[str, str]]]:
    """The rpcs, as service and method, by command."""
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    return {command: RPC.findall(cell) for command, cell in ROW.findall(page)}


def commands(command: Any, name: str) -> Iterator[str]:  # of typer's own copy of click
    """The full names of all commands."""
    inner = getattr(command, "commands", {})
    for each in inner:
        yield from commands(inner[each], f"{name} {each}")
    if not inner:
        yield name


def test_every_command_has_its_row() -> None:
    assert list(rows()) == list(commands(get_command(build()), "rhapsode"))


@pytest.mark.parametrize("command", rows())
def test_the_rpcs_of_a_command_are_there(command: str) -> None:
    called = rows()[command]
    assert called
    for service, method in called:
        assert method in MODEL_CONTROL or is_served(f"rhapsode.v1.{service}/{method}")
