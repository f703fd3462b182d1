"""Looks at a server of several processes from outside."""

import urllib.request
from collections.abc import Mapping
from pathlib import Path

import grpc
from prometheus_client.parser import text_string_to_metric_families

from support.server import Process


def workers(server: Process) -> list[int]:
    """The process ids of its workers."""
    pid = server.process.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended, and that nobody has asked for its status yet, does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def samples(server: Process) -> Mapping[str, float]:
    """Every sample of its page by "name{label,value,…}", the values in the order of their labels' names."""
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=30) as reply:
        page = str(reply.read(), "utf-8")
    return {
        f"{sample.name}{{{','.join(sample.labels[label] for label in sorted(sample.labels))}}}": sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def fresh_channel(address: str) -> grpc.Channel:
    """A channel with a connection of its own, which any of the workers may take."""
    return grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])


def handled(server: Process, method: str) -> float:
    """How many rpcs of a method went well, on all workers together."""
    wanted = f"grpc_server_handled_total{{OK,{method},"
    return sum(value for name, value in samples(server).items() if name.startswith(wanted))


def settled(server: Process, name: str, value: float) -> None:
    """Wait until a sample has a value; the test's time limit ends it else."""
    while samples(server).get(name) != value:
        pass


def restless(server: Process, method: str) -> None:
    """Wait until more rpcs of a method have gone well than now."""
    before = handled(server, method)
    while handled(server, method) < before + 20:
        pass
