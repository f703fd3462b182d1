"""The in-process limits: the same graphs in one Python loop, without scheduler, engine and gRPC."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from benchmarks.bundles import Folders, Opened
from benchmarks.cases import Case, Measurement, Way
from benchmarks.denoise_limit import DenoiseLoop
from benchmarks.picture_limit import DecodeLoop
from benchmarks.text_limits import BareLoop, FusedLoop, PlainLoop

from rhapsode_server.runtime.providers import Runtime


class Limit(Protocol):
    """A loop over one bundle."""

    def make(self, case: Case, seed: int) -> object:
        """Make all tokens or pictures of a case once."""
        ...


_LIMITS: Mapping[Way, Callable[[Opened, Runtime], Limit]] = MappingProxyType(
    {"plain": PlainLoop, "bare": BareLoop, "fused": FusedLoop, "decode": DecodeLoop, "denoise": DenoiseLoop}
)


class Alone:
    """Bundles in this process, run in the calling thread; each is loaded when it is first asked for."""

    def __init__(self, folders: Folders, runtime: Runtime) -> None:
        self._folders = folders
        self._runtime = runtime
        self._limits: dict[tuple[str, Way], Limit] = {}

    def measure(self, case: Case, way: Way, seed: int) -> Measurement:
        """Run a case, all its rows in one batch; KeyError where the way is not one in process."""
        limit = self._limit(case.model, way)
        wall, cpu = time.perf_counter(), time.process_time()
        for repeat in range(case.repeats):
            limit.make(case, seed + repeat)
        return Measurement(case.name, way, case.total, time.perf_counter() - wall, time.process_time() - cpu)

    def _limit(self, model: str, way: Way) -> Limit:
        if (model, way) not in self._limits:
            self._limits[model, way] = _LIMITS[way](self._folders.read(model), self._runtime)
        return self._limits[model, way]
