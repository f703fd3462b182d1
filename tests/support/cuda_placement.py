"""Where ONNX Runtime's CUDA provider would put each node of a graph, found without a GPU.

ONNX Runtime assigns nodes to providers when it makes a session, before anything runs on a device. Over stand-ins for
CUDA's libraries the real provider does so with its real kernels' registry, and a verbose session tells. That a node is
placed on CUDA proves that this wheel has a kernel for its opset and types; nothing is computed.
"""

import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx

from rhapsode_server.runtime.providers import CUDA
from support.shape_arithmetic import every_node, shape_arithmetic

CHILD = Path(__file__).with_name("cuda_session.py")
CONTROL_FLOW = frozenset({"Loop", "If", "Scan"})
COPIES = frozenset({"MemcpyFromHost", "MemcpyToHost"})

_PLACED = re.compile(r"VerifyEachNodeIsAssignedToAnEp\]\s+(All nodes|Node\(s\)) placed on \[(\w+)\]\D*(\d+)")
_NODE = re.compile(r"VerifyEachNodeIsAssignedToAnEp\]\s+(\w+) \((.*)\)\s*$")


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a graph as it would be run, after all fusions."""

    provider: str
    operator: str
    name: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the nodes of one graph would run."""

    nodes: tuple[Node, ...]
    copied: tuple[str, ...]
    """The tensors that are copied from the host to the device or back in a run."""
    shape_nodes: frozenset[str]
    """The names of the nodes that compute nothing but shapes."""

    def by_provider(self) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """{provider: {operator: [node names]}}."""
        found: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for node in self.nodes:
            found[node.provider][node.operator].append(node.name)
        return found

    def off_cuda(self) -> tuple[Node, ...]:
        """The nodes that would not run on CUDA."""
        return tuple(node for node in self.nodes if node.provider != CUDA)

    def strangers(self) -> tuple[Node, ...]:
        """The nodes off CUDA that are neither shape arithmetic nor control flow: each is a kernel that CUDA lacks."""
        excused = (node.name in self.shape_nodes or node.operator in CONTROL_FLOW for node in self.off_cuda())
        return tuple(node for node, excuse in zip(self.off_cuda(), excused, strict=True) if not excuse)


def place(content: bytes, libraries: Path) -> Placement:
    """Load a serialised graph as the server would on CUDA, over the stand-ins in `libraries`.

    Raises RuntimeError, with the end of what ONNX Runtime said, where the session cannot be made or tells nothing.
    """
    with TemporaryDirectory() as folder:
        graph, optimised = Path(folder, "graph.onnx"), Path(folder, "optimised.onnx")
        graph.write_bytes(_named(content))
        words = [sys.executable, "-P", str(CHILD), str(libraries), str(graph), str(optimised)]
        done = subprocess.run(words, capture_output=True, text=True, env=_environment())
        if done.returncode:
            raise RuntimeError(f"no session could be made over the stand-ins: {done.stderr[-1500:]}")
        return _read(done.stderr, onnx.load_model(optimised).graph)


def _environment() -> Mapping[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def _named(content: bytes) -> bytes:
    """The same graph with a name for every node, so that the log and the optimised graph can be told together."""
    model = onnx.load_model_from_string(content)
    for node in every_node(model.graph):
        node.name = node.name or f"{node.op_type} of {node.output[0]}"
    return bytes(model.SerializeToString())


def _read(log: str, graph: onnx.GraphProto) -> Placement:
    run = list(every_node(graph))
    placed = [Node(one.provider, one.operator, one.name) for one in _told(log, run)]
    if len(placed) != len(run):
        raise RuntimeError(f"the log places {len(placed)} nodes of {len(run)}: {log[-1500:]}")
    return Placement(
        nodes=tuple(node for node in placed if node.operator not in COPIES),
        copied=tuple(sorted(node.input[0].removesuffix(f"_{CUDA}") for node in run if node.op_type in COPIES)),
        shape_nodes=frozenset(shape_arithmetic(graph)),
    )


def _told(log: str, run: Sequence[onnx.NodeProto]) -> Iterator[Node]:
    """The nodes as the log lists them; where all are in one place it does not, and they are those that are run."""
    provider = ""
    for line in log.splitlines():
        if head := _PLACED.search(line):
            provider = head[2]
            if head[1] == "All nodes":
                yield from (Node(provider, node.op_type, node.name) for node in run)
        elif provider and (node := _NODE.search(line)):
            yield Node(provider, node[1], node[2])
