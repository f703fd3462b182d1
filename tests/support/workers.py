"""Looks at a server of several processes from outside."""

from collections.abc import Mapping
from pathlib import Path

import grpc
from benchmarks.cost import children
from prometheus_client.parser import text_string_to_metric_families

from support import tally
from support.server import Process
from support.tally import answers


def workers(server: Process) -> list[int]:
    """The process ids of its workers."""
    return children(server.process.pid)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended, and that nobody has asked for its status yet, does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def samples(server: Process) -> Mapping[str, float]:
    """Every sample of its page by "name{label,value,…}", the values in the order of their labels' names."""
    page = tally.page(server)
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


def restless(server: Process, method: str) -> None:
    """Wait for the log lines of some rpcs of a method that have gone well, behind the line that was given last."""
    for _ in range(20):
        server.child.until(lambda line: answers(line, method))
