"""The gate's rules while the server serves: what the access file says now, or said last."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from rhapsode_server.config import Config
from rhapsode_server.observe.logs import Log
from rhapsode_server.rpc.access import Rules
from rhapsode_server.rpc.gate import Gate
from rhapsode_server.serve.access import AccessRotation, Told, plain_text
from rhapsode_server.serve.threads import tell
from rhapsode_server.serve.watching import Watch


class AccessWatch:
    """Gives a gate new rules when their file has changed. Lives in the event loop, looks in a thread."""

    def __init__(
        self,
        config: Config,
        gate: Gate,
        models: Callable[[], Iterable[str]],
        log: Log,
        count_failure: Callable[[], object],
    ) -> None:
        self._config = config
        self._gate = gate
        self._models = models
        self._log = log
        self._count_failure = count_failure
        self._watch: Watch | None = None
        self.rotation: AccessRotation | None = None

    def start(self) -> None:
        """Begin to look, where there are rules."""
        rules = self._gate.rules
        if rules is None:
            return
        self._tell_doubts(rules)
        loop = asyncio.get_running_loop()
        told = Told(
            fresh=lambda rules: tell(loop, lambda: self._take(rules)),
            failed=lambda why: tell(loop, lambda: self._keep(why)),
        )
        self.rotation = AccessRotation(self._config, rules, told)
        self._watch = Watch(self.rotation.paths, self.rotation.reload)
        self._watch.start()

    def close(self) -> None:
        """Look no more."""
        if self._watch:
            self._watch.close()

    def _take(self, rules: Rules) -> None:
        self._gate.rules = rules
        self._log.info("access reloaded", clients=len(rules.callers))
        self._tell_doubts(rules)

    def _keep(self, why: str) -> None:
        self._count_failure()
        self._log.warning("access not reloaded", reason=why)

    def _tell_doubts(self, rules: Rules) -> None:
        for doubt in (*rules.doubts(datetime.now(UTC), frozenset(self._models())), *plain_text(self._config)):
            self._log.warning("access", reason=doubt)
