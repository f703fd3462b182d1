"""What a running server holds: memory, descriptors, threads, tasks, slots; read from outside of it."""

import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

import psutil
from prometheus_client.parser import text_string_to_metric_families

INTERVAL = 0.25  # seconds between two looks: a page that is asked for much more often is an older one
LOOK = 30.0  # seconds that a page may take


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look at a server."""

    cpu_seconds: float
    """Of all its threads since it started."""
    memory: int
    """Bytes that are resident."""
    descriptors: int
    threads: int
    tasks: int
    """Of its event loop."""
    slots: int
    """Jobs that hold one."""
    queued: int
    """Jobs that wait for one."""
    open_rpcs: int
    """Of all services but health."""

    @property
    def idle(self) -> bool:
        """Whether nobody is served."""
        return not (self.slots or self.queued or self.open_rpcs)


class Patient:
    """A server that is looked at: its process, and its metrics page."""

    def __init__(self, pid: int, metrics_address: str) -> None:
        self._process = psutil.Process(pid)
        self._page = f"http://{metrics_address}/metrics"

    def look(self) -> Vitals:
        """Look at it now."""
        gauges = self.gauges("rhapsode_event_loop_tasks", "rhapsode_active_slots", "rhapsode_queue_depth")
        with self._process.oneshot():
            times = self._process.cpu_times()
            return Vitals(
                cpu_seconds=times.user + times.system,
                memory=self._process.memory_info().rss,
                descriptors=self._process.num_fds(),
                threads=self._process.num_threads(),
                tasks=gauges["rhapsode_event_loop_tasks"],
                slots=gauges["rhapsode_active_slots"],
                queued=gauges["rhapsode_queue_depth"],
                open_rpcs=self._open_rpcs(),
            )

    def gauges(self, *names: str) -> dict[str, int]:
        """The sums of some metrics over their labels; 0 where the page has none of that name."""
        values = dict.fromkeys(names, 0.0)
        for family in text_string_to_metric_families(self._read()):
            for sample in family.samples:
                if sample.name in values:
                    values[sample.name] += sample.value
        return {name: round(value) for name, value in values.items()}

    def until(self, enough: Callable[[Vitals], bool], patience: float) -> Vitals:
        """Look again and again: the first look that is enough. Raises TimeoutError."""
        end = time.monotonic() + patience
        while not enough(vitals := self.look()):
            if time.monotonic() > end:
                raise TimeoutError(f"after {patience} s it still has {vitals}")
            time.sleep(INTERVAL)
        return vitals

    def _open_rpcs(self) -> int:
        return sum(
            round(sample.value)
            for family in text_string_to_metric_families(self._read())
            if family.name == "rhapsode_open_rpcs"
            for sample in family.samples
            if "Health" not in sample.labels.get("grpc_service", "")
        )

    def _read(self) -> str:
        with urllib.request.urlopen(self._page, timeout=LOOK) as page:  # noqa: S310  # our own page, over HTTP
            return str(page.read(), "utf-8")
