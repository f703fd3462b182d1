"""Open connections are counted: those that were made to the address, by whomever, and no others."""

import math
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from rhapsode_server.observe import connections
from rhapsode_server.observe.connections import ConnectionMetrics, open_connections


def listener(stack: ExitStack, family: socket.AddressFamily, place: object) -> socket.socket:
    made = stack.enter_context(socket.socket(family))
    made.bind(place)  # type: ignore[arg-type]  # as the family has it
    made.listen()
    return made


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX], ids=lambda family: family.name)
def test_those_to_the_address_are_counted(family: socket.AddressFamily, tmp_path: Path) -> None:
    places = {socket.AF_INET: ("127.0.0.1", 0), socket.AF_INET6: ("::1", 0), socket.AF_UNIX: f"{tmp_path}/a"}
    with ExitStack() as stack:
        try:
            ours = listener(stack, family, places[family])
        except OSError:
            pytest.skip("this machine has no addresses of this family")
        name = ours.getsockname()
        address = f"unix:{name}" if family == socket.AF_UNIX else f"localhost:{name[1]}"
        registry = CollectorRegistry()
        ConnectionMetrics(registry, 7).listens(address)
        told = []
        for _ in range(3):
            told.append(registry.get_sample_value("rhapsode_open_connections"))
            stack.enter_context(socket.socket(family)).connect(name)
            stack.enter_context(ours.accept()[0])
        told.append(registry.get_sample_value("rhapsode_open_connections"))
    assert told == [0, 1, 2, 3]
    assert registry.get_sample_value("rhapsode_open_connections") == 0
    assert registry.get_sample_value("rhapsode_connections_limit") == 7


def test_where_it_cannot_be_known_it_is_not_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(connections, "_DESCRIPTORS", tmp_path / "none")
    assert math.isnan(open_connections(1))
