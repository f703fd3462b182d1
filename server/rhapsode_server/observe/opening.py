"""Opens the traces that an operator has asked for, where their libraries are installed."""

from collections.abc import Callable

from rhapsode_server.errors import ConfigError
from rhapsode_server.observe.logs import Log
from rhapsode_server.observe.traces import NO_TRACES, Traces
from rhapsode_server.observe.traces_settings import TracesSettings

FOR_LAST_SPANS = 3.0  # seconds that they have at the end
EXTRA = "pip install 'rhapsode[server,otel]'"


def open_traces(
    settings: TracesSettings | None, version: str, log: Log, hand_over: Callable[[Callable[[], None]], object]
) -> Traces:
    """Make the spans' source; none where none are asked for, or the extra is missing, which the log then says.

    `hand_over` has something called in the thread that the log belongs to. Raises ConfigError.
    """
    if settings is None:
        return NO_TRACES
    try:
        from rhapsode_server.observe.otel import OpenTelemetryTraces
        from rhapsode_server.observe.span_export import open_outlet
    except ImportError as error:
        log.warning("no traces", reason=f"{error.name} is not installed: {EXTRA}")
        return NO_TRACES
    try:
        outlet = open_outlet(
            settings,
            version,
            lambda event, fields: hand_over(lambda: log.warning(event, **fields)),
            lambda event, fields: hand_over(lambda: log.info(event, **fields)),
        )
    except Exception as error:
        raise ConfigError(f"the OTEL_ variables cannot be followed: {error}") from error
    if settings.unknown_propagators:
        log.warning("propagators ignored", names=",".join(settings.unknown_propagators), continues=settings.continues)
    log.info("traces", exporters=",".join(settings.exporters), protocol=settings.protocol)
    return OpenTelemetryTraces(outlet, version, settings.continues, FOR_LAST_SPANS)
