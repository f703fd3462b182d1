"""All servers of a run, each in a process of its own from the first round to the last."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks.bundles import Folders
from benchmarks.cases import FOREIGN, Case, Way
from benchmarks.empty import running_empty_server
from benchmarks.plan import Task
from deploy.local_server import LocalServer, running_server

_MORE_FLAGS: Mapping[Way, tuple[str, ...]] = MappingProxyType(
    {"served": (), "k4": ("--run-steps=4",), "k1": ("--run-steps=1",)}
)


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers by the folder of bundles that they serve, and the way that they stand for."""

    folders: Folders
    running: Mapping[tuple[Path | None, Way], LocalServer]

    def of(self, case: Case, way: Way) -> LocalServer | None:
        """The server to send a case to; None where the way is not one of these."""
        return self.running.get(_place(self.folders, case, way))


@contextmanager
def running_servers(plan: Sequence[Task], folders: Folders, out: Path, flags: tuple[str, ...]) -> Iterator[Servers]:
    """Start what a plan asks for, and stop it on leaving; logs are `out`/bench-FOLDER-WAY.log."""
    places = {_place(folders, task.case, way) for task in plan for way in task.ways}
    running: dict[tuple[Path | None, Way], LocalServer] = {}
    with ExitStack() as stack:
        for models, way in places:
            if way == "empty":
                running[models, way] = stack.enter_context(running_empty_server())
            elif models and way in _MORE_FLAGS:
                log = out / f"bench-{models.name}-{way}.log"
                server = running_server(models, log, *flags, *_MORE_FLAGS[way])
                running[models, way] = stack.enter_context(server)
        yield Servers(folders, MappingProxyType(running))


def _place(folders: Folders, case: Case, way: Way) -> tuple[Path | None, Way]:
    models = folders.foreign if case.model == FOREIGN else folders.measured
    return (None if way == "empty" else models), way
