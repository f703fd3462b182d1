"""The supervisor: starts the workers of a server, replaces those that end, and stops them all."""

import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack
from queue import Empty, SimpleQueue

from rhapsode_server.config import Config
from rhapsode_server.errors import ConfigError, StartupError
from rhapsode_server.observe.endpoint import fresh_registry, open_endpoint
from rhapsode_server.observe.log_metrics import LogMetrics
from rhapsode_server.observe.logs import Log
from rhapsode_server.observe.traces_settings import TracesSettings
from rhapsode_server.observe.workers import Ledger, WorkerMetrics, one_page
from rhapsode_server.serve.crew import Ended, Event_, Serves, Worker
from rhapsode_server.serve.messages import Order
from rhapsode_server.serve.port import Reservation
from rhapsode_server.serve.process import SLACK
from rhapsode_server.serve.processors import share
from rhapsode_server.serve.roster import Record, Roster
from rhapsode_server.serve.wish import SIGNALS, Wish, end_at_once, handling

ROUND = 2.0  # seconds between two looks at what the workers have counted, each about 14 ms of a worker's time
WISHED = (0, *(-number for number in SIGNALS))  # how a worker ends that was told to before it served


def supervise(config: Config, tracing: TracesSettings | None, log: Log) -> None:
    """Serve with several processes until SIGTERM or SIGINT, then stop gracefully; a second signal ends all at once.

    Raises ConfigError where an address cannot be had, StartupError where the workers cannot start, or cannot any more.
    """
    with ExitStack() as stack:
        port = Reservation(config.address)
        stack.callback(port.close)
        supervisor = Supervisor(config, tracing, port.address, log)
        stack.callback(supervisor.kill)
        stack.enter_context(handling(supervisor.events.put))
        if config.metrics_address:
            page = open_endpoint(config.metrics_address, one_page(supervisor.ledger))
            stack.callback(page.close)
            supervisor.metrics_address = page.address
        supervisor.run()


class Supervisor:
    """Does what the roster says, event by event, in the main thread; each worker is listened to in another."""

    def __init__(self, config: Config, tracing: TracesSettings | None, address: str, log: Log) -> None:
        self.events: SimpleQueue[Event_ | signal.Signals] = SimpleQueue()
        self.metrics_address = ""
        self._config = config
        self._tracing = tracing
        self._address = address
        self._log = log
        self._roster = Roster(config.workers)
        self._workers: dict[int, Worker] = {}
        self._wish = Wish()
        self._stopping_until: float | None = None
        self._is_ready = False
        self._fingerprints: frozenset[str] | None = None
        self._hopeless: StartupError | None = None
        registry = fresh_registry()
        self._metrics = WorkerMetrics(registry)
        LogMetrics(registry, log)
        self.ledger = Ledger(registry, self._ask_all)

    def run(self) -> None:
        """Start the workers, and have as many until the end is wished for."""
        while self._stopping_until is None or self._workers:
            self._start_due()
            try:
                event = self.events.get(timeout=self._patience())
            except Empty:
                self._look_round()
                continue
            match event:
                case Serves(worker, fingerprints):
                    self._serves(worker)
                    self._compare(worker, fingerprints)
                case Ended(worker, status):
                    self._ended(worker, status)
                case signal.Signals():
                    self._heard(event)
        if self._hopeless:
            raise self._hopeless
        self._log.info("stopped")

    def kill(self) -> None:
        """End all workers that are left, at once."""
        for worker in self._workers.values():
            worker.kill()

    def _patience(self) -> float:
        due = None if self._stopping_until else self._roster.next_due
        return ROUND if due is None else max(0.0, min(ROUND, due - time.monotonic()))

    def _start_due(self) -> None:
        while self._stopping_until is None and (number := self._roster.start(time.monotonic())):
            self._start(number)

    def _start(self, number: int) -> None:
        order = Order(number, self._config_of_a_worker(), self._tracing)
        try:
            worker = Worker(order, self.ledger, self.events.put)
        except (OSError, RuntimeError) as error:
            self._not_started(number, error)
            return
        self._workers[number] = worker
        if self._is_ready:
            self._metrics.restarts.inc()
        self._log.info("worker started", worker=number, pid=worker.pid)

    def _not_started(self, number: int, error: Exception) -> None:
        """Go on with those that are there: a machine that has no room now may have some soon."""
        failure = StartupError(f"worker {number} cannot be started: {error}")
        if not self._is_ready:
            raise failure from error
        record = self._roster.ended(number, time.monotonic())
        self._log.warning("worker not started", worker=number, reason=str(error), pause=record.pause)
        self._despair(failure)

    def _serves(self, worker: Worker) -> None:
        self._roster.serves(worker.number, time.monotonic())
        worker.ask()
        self._log.info("worker ready", worker=worker.number, pid=worker.pid)
        if self._roster.complete and not self._is_ready:
            self._is_ready = True
            self._log.info(
                "ready",
                address=self._address,
                metrics_address=self.metrics_address,
                tls=bool(self._config.tls_certificate),
                workers=self._config.workers,
            )

    def _compare(self, worker: Worker, fingerprints: frozenset[str]) -> None:
        """Say where a worker serves other models than the first did: it has read them anew."""
        if self._config.watch:  # all are to read them anew
            return
        self._fingerprints = self._fingerprints or fingerprints
        if fingerprints != self._fingerprints:
            reason = "the bundles were changed; restart the server, so that all serve the same"
            self._log.warning("worker has other models", worker=worker.number, pid=worker.pid, reason=reason)

    def _ended(self, worker: Worker, status: int) -> None:
        del self._workers[worker.number]
        record = self._roster.ended(worker.number, time.monotonic())
        if self._stopping_until:
            if status not in WISHED:
                self._log.warning("worker ended", worker=worker.number, pid=worker.pid, status=status)
            return
        too_early = record.unready > 0 and not self._is_ready
        if too_early and status not in WISHED:
            raise _startup_error(worker, status)
        self._log.warning("worker ended", worker=worker.number, pid=worker.pid, **_how(worker, status, record))
        if too_early:
            self._stop()  # who signals all processes of a service means the service; our own signal is on its way
        else:
            self._despair(_startup_error(worker, status))

    def _despair(self, failure: StartupError) -> None:
        """End for this reason, unless there is hope."""
        if self._roster.hopeless:
            self._hopeless = failure
            self._stop()

    def _heard(self, number: signal.Signals) -> None:
        if self._wish.insists(time.monotonic()):
            self.kill()
            end_at_once(number, self._log)
        elif not self._stopping_until:
            self._stop()

    def _stop(self) -> None:
        self._stopping_until = time.monotonic() + self._config.drain_delay + self._config.grace + SLACK
        for worker in self._workers.values():
            worker.stop()

    def _look_round(self) -> None:
        now = time.monotonic()
        if self._stopping_until and now > self._stopping_until:
            self._log.warning("workers killed", workers=sorted(self._workers), reason="they did not stop in time")
            self.kill()
        turned = [number for number, worker in self._workers.items() if worker.turned()]
        for number in self._roster.hung(now, turned):
            self._log.warning("worker killed", worker=number, pid=self._workers[number].pid, reason="it hangs")
            self._workers[number].kill()
        for worker in self._workers.values():
            worker.ask()

    def _ask_all(self) -> None:
        """Have all workers tell their metrics, and wait until they have; called from the threads of the page."""
        workers = list(self._workers.values())
        for worker in workers:
            worker.ask()
        for worker in workers:
            worker.wait()

    def _config_of_a_worker(self) -> Config:
        """Share the port and the threads; the page is ours; one GPU is no place for several processes."""
        config = self._config
        threads = config.threads or max(1, share() // config.workers)
        return config.model_copy(
            update={"address": self._address, "metrics_address": "", "threads": threads, "provider": "cpu"}
        )


def _startup_error(worker: Worker, status: int) -> StartupError:
    if worker.failure:
        kind = ConfigError if worker.failure.wrong_option else StartupError
        return kind(worker.failure.message)
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
    return StartupError(f"worker {worker.number} ended with {how} before it served")


def _how(worker: Worker, status: int, record: Record) -> Mapping[str, object]:
    """What the log tells of an end."""
    told = {"reason": worker.failure.message} if worker.failure else {}
    return {"status": status, "pause": record.pause, **told}
