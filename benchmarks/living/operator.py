"""Who loads, unloads and renames models of a server, and notes what each reference meant in consequence."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

import grpc
from benchmarks.living.kinds import SUFFIXES
from benchmarks.living.reigns import Reigns
from benchmarks.living.weights import SHIPPED, Shelf
from benchmarks.soak.history import Origin
from benchmarks.soak.recorder import reason_in
from grpc_status import rpc_status

from rhapsode.v1 import model_pb2
from rhapsode.v1.model_pb2_grpc import ModelServiceStub

GivenT = TypeVar("GivenT")
Did = Literal["load", "switch", "unload", "failed load"]
PATIENCE = 120.0  # seconds that a change may take
ALIASES = ("stable", "canary")
_MEANT_TO_FAIL = "LOAD_FAILED"


@dataclass(frozen=True, slots=True)
class Deed:
    """A change that was asked for. `outcome` is OK, or the reason of the refusal."""

    did: Did
    what: str
    begun: float
    ended: float
    outcome: str

    @property
    def wrong(self) -> bool:
        """Whether it did not end as it should."""
        return self.outcome != (_MEANT_TO_FAIL if self.did == "failed load" else "OK")


class Operator:
    """Changes a server's models; the server has version 1 of each when it begins, of the shipped content."""

    def __init__(self, channel: grpc.Channel, shelf: Shelf, clock: Callable[[], float] = time.monotonic) -> None:
        self._stub = ModelServiceStub(channel)
        self._shelf = shelf
        self._clock = clock
        self._versions: dict[str, dict[int, Origin]] = {}
        self._letters: dict[tuple[str, int], str] = {}
        self._aliases: dict[str, dict[str, int]] = {}
        self.reigns = Reigns()
        self.deeds: list[Deed] = []
        for status in self._statuses():
            name, version = status.model, status.version
            self._versions[name] = {version: Origin(name, version, status.fingerprint)}
            self._letters[name, version] = SHIPPED
            self._aliases[name] = {}

    def _statuses(self) -> Sequence[model_pb2.ModelStatus]:
        """Of all versions, now."""
        watch = self._stub.WatchModels(model_pb2.WatchModelsRequest(), timeout=PATIENCE)
        told = next(iter(watch)).statuses
        watch.cancel()
        return told

    def newest(self, name: str) -> int:
        """The newest version that is served."""
        return max(self._versions[name])

    def letter(self, name: str, version: int) -> str:
        """The content of a version."""
        return self._letters[name, version]

    def origin(self, name: str, version: int) -> Origin:
        """What replies of a version say of it."""
        return self._versions[name][version]

    def load(self, name: str, version: int, letter: str) -> None:
        """Serve this content under this version, whether or not there is one already."""
        self._shelf.put(name, letter, version)
        request = model_pb2.LoadModelRequest(model=f"{name}@{version}")
        status = self._do("load", f"{name}@{version} of {letter}", lambda: self._stub.LoadModel(request).status)
        if status is not None:
            self._letters[name, version] = letter
            self._versions[name][version] = Origin(name, version, status.fingerprint)
            self._note(name)

    def fail(self, name: str, version: int) -> None:
        """Try to load a version that lies about itself, then make it true again."""
        letter = self.letter(name, version)
        self._shelf.spoil(name, version)
        request = model_pb2.LoadModelRequest(model=f"{name}@{version}")
        self._do("failed load", f"{name}@{version} that lies", lambda: self._stub.LoadModel(request))
        self._shelf.put(name, letter, version)

    def switch(self, name: str, alias: str, version: int) -> None:
        """Have an alias name another version."""
        request = model_pb2.SetModelAliasRequest(model=name, alias=alias, version=version)
        if self._do("switch", f"{name}@{alias} to {version}", lambda: self._stub.SetModelAlias(request)) is not None:
            self._aliases[name][alias] = version
            self._note(name)

    def tidy(self, name: str) -> None:
        """Unload what nobody would miss: what is neither the first version nor the newest, and has no alias."""
        kept = {1, self.newest(name), *self._aliases[name].values()}
        for version in sorted(set(self._versions[name]) - kept):
            self.unload(name, version)

    def unload(self, name: str, version: int) -> None:
        """Serve a version no more."""
        request = model_pb2.UnloadModelRequest(model=f"{name}@{version}")
        if self._do("unload", f"{name}@{version}", lambda: self._stub.UnloadModel(request)) is not None:
            del self._versions[name][version]
            self._note(name)

    def _do(self, did: Did, what: str, change: Callable[[], GivenT]) -> GivenT | None:
        """Make a change: what it gives, None where it is refused."""
        begun, outcome = self._clock(), "OK"
        given: GivenT | None = None
        try:
            given = change()
        except grpc.RpcError as error:
            outcome = _outcome(error)
        self.deeds.append(Deed(did, what, begun, self._clock(), outcome))
        return given

    def _note(self, name: str) -> None:
        deed = self.deeds[-1]
        self.reigns.change(dict(self._meanings(name)), deed.begun, deed.ended)

    def _meanings(self, name: str) -> Iterator[tuple[str, Origin]]:
        versions, aliases = self._versions[name], self._aliases[name]
        meant = {"": self.newest(name)} | {f"@{version}": version for version in versions}
        meant |= {f"@{alias}": version for alias, version in aliases.items()}
        return ((f"{name}{suffix}", versions[meant[suffix]]) for suffix in SUFFIXES if suffix in meant)


def _outcome(error: grpc.RpcError) -> str:
    call = cast("grpc.Call", error)  # it has what a call has
    status = rpc_status.from_call(call)
    reason = "" if status is None else reason_in(status.SerializeToString())
    return reason or f"{call.code().name}: {call.details()}"
