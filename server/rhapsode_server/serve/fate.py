"""What becomes of a server whose models fail: health says so, and where only a restart helps the process ends."""

from collections.abc import Callable

from rhapsode_server.engine.attempt import Run
from rhapsode_server.errors import DeviceLost, DriverDied, ModelUnhealthy, RhapsodeError
from rhapsode_server.observe.logs import Log
from rhapsode_server.repository.residents import Key
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.health import Health
from rhapsode_server.rpc.served import AnyDriver
from rhapsode_server.serve.watchdog import HUNG

DEVICE_LOST = 4
"""Exit status of a server whose device is gone."""


class Fate:
    """Lives in the event loop. `exit_code` is 0 as long as nothing happened that a restart must mend."""

    def __init__(self, catalog: Catalog, health: Health, log: Log, wish: Callable[[], object]) -> None:
        self.exit_code = 0
        self._catalog = catalog
        self._health = health
        self._log = log
        self._wish = wish
        self._ill: set[str] = set()

    def feel(self, lane: str, error: RhapsodeError | None) -> None:
        """A graph cannot be run for this reason; None where it can again, or is worth a try."""
        if isinstance(error, DeviceLost):
            self._lost(lane, error)
        elif isinstance(error, DriverDied):
            self._log.error("driver died", lane=lane, exc_info=error.__cause__)
            self._end(HUNG)
        elif error is not None and lane not in self._ill:
            self._ill.add(lane)
            self._log.error("model unhealthy", lane=lane, reason=error.message)
        elif error is None and lane in self._ill:
            self._ill.remove(lane)
            self._log.info("model tried again", lane=lane)
        self._health.set(_model(lane), serving=_model(lane) not in map(_model, self._ill))

    def forget(self, key: Key) -> None:
        """What was served as a version is so no more, whatever it was like."""
        name, version = key
        self._ill = {lane for lane in self._ill if not lane.startswith(f"{name}@{version}/")}
        self._health.set(name, serving=name not in map(_model, self._ill))

    def hung(self, driver: AnyDriver, run: Run) -> None:
        """A run does not come back: nothing can end it but the end of the process."""
        self._log.error("run hangs", lane=driver.name, rows=run.rows, run=run.number)
        driver.give_up(ModelUnhealthy("a run of the model hangs; the server is about to be started again"))
        self._end(HUNG)

    def _lost(self, lane: str, error: DeviceLost) -> None:
        if self.exit_code:
            return
        self._log.error("device lost", lane=lane, reason=error.message)
        for driver in self._catalog.drivers():
            driver.give_up(error)
        self._end(DEVICE_LOST)

    def _end(self, code: int) -> None:
        self.exit_code = self.exit_code or code
        self._health.fail()
        self._wish()


def _model(lane: str) -> str:
    return lane.partition("@")[0]
