"""What the log counts of itself."""

from prometheus_client import CollectorRegistry, Counter

from rhapsode_server.observe.logs import Log


class LogMetrics:
    """The lines that one process's log has lost, in the registry that it is given."""

    def __init__(self, registry: CollectorRegistry, log: Log | None = None) -> None:
        self.dropped = Counter(
            "rhapsode_log_lines_dropped_total", "Lines of the log that could not be written.", registry=registry
        )
        if log:
            log.count_dropped(self.dropped.inc)
