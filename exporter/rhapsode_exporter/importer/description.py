"""What the owner of a foreign graph says of it, read and sound."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rhapsode.v1.bundle_pb2 import Bundle, GraphRole
from rhapsode_exporter.bundle.export import file_of


@dataclass(frozen=True, slots=True)
class StateDescription:
    """A state of a step graph by the names that the foreign graph gives to its input and its output."""

    where: str
    input: str
    output: str
    initial_value: float


@dataclass(frozen=True, slots=True)
class GraphDescription:
    """One foreign graph.

    `tensors` has the foreign name of each tensor of the contract that is called otherwise there; `drop` names foreign
    tensors to leave out; `batch` is the foreign name of the batch axis, empty where it was not said.
    """

    where: str
    role: GraphRole.ValueType
    path: Path
    tensors: Mapping[str, str]
    states: tuple[StateDescription, ...]
    drop: frozenset[str]
    batch: str
    tolerance: float

    @property
    def file(self) -> str:
        """The name of the foreign file, for messages."""
        return self.path.name

    @property
    def target(self) -> str:
        """The name of the file in the bundle."""
        return file_of(self.role)

    def foreign(self, name: str) -> str:
        """What the foreign graph calls a tensor of the contract."""
        return self.tensors.get(name, name)


@dataclass(frozen=True, slots=True)
class Description:
    """A model to be imported: its manifest, still without graphs and files, and the foreign graphs.

    Where problems were found, numbers of the manifest that could not be read are zero and lists are empty.
    """

    manifest: Bundle
    graphs: tuple[GraphDescription, ...]
    tokenizer: bytes | None = None
    """The tokenizer.json that its vocabulary was read from."""
