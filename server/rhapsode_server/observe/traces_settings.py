"""What OpenTelemetry's standard variables ask of a server's traces."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast
from urllib.parse import urlsplit

from rhapsode_server.errors import ConfigError

Exporter = Literal["otlp", "console"]
Protocol = Literal["grpc", "http/protobuf"]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_COMPRESSIONS = ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION")
_RATIO_SAMPLERS = ("traceidratio", "parentbased_traceidratio")
_SAMPLERS = ("always_on", "always_off", "parentbased_always_on", "parentbased_always_off", *_RATIO_SAMPLERS)
_DEFAULT_PROPAGATORS = ("tracecontext", "baggage")
_QUEUE, _BATCH = "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
_QUEUE_SIZE, _BATCH_SIZE = 2048, 512  # the SDK's own


@dataclass(frozen=True, slots=True)
class TracesSettings:
    """Where spans go, and whether a client's trace is gone on with. Everything else the SDK reads by itself."""

    exporters: tuple[Exporter, ...]
    protocol: Protocol
    compressed: bool
    continues: bool
    named: bool
    """Whether the operator has named the service."""
    unknown_propagators: tuple[str, ...]
    """What else a client's trace was to be read from."""
    queue_size: int
    """Spans that may wait for an exporter."""


def read_settings(environ: Mapping[str, str]) -> TracesSettings | None:
    """Read the variables; None where no traces are asked for. Raises ConfigError, a line for each thing wrong."""
    given = {name: value.strip() for name, value in environ.items() if name.startswith("OTEL_") and value.strip()}
    wrong = [f"{name}: {fault}" for name, fault in _switch_faults(given)]
    exporters = _words(given.get("OTEL_TRACES_EXPORTER", "otlp" if _first(given, _ENDPOINTS) else "none"))
    if not wrong and (given.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporters == ("none",)):
        return None
    wrong += [f"{name}: {fault}" for name, fault in _faults(given)]
    if wrong:
        raise ConfigError("\n".join(wrong))
    propagators = _words(given.get("OTEL_PROPAGATORS", "")) or _DEFAULT_PROPAGATORS
    return TracesSettings(
        exporters=tuple(cast("Exporter", name) for name in exporters if name != "none"),
        protocol=cast("Protocol", _first(given, _PROTOCOLS) or "grpc"),
        compressed=_first(given, _COMPRESSIONS) == "gzip",
        continues="tracecontext" in propagators and "none" not in propagators,
        unknown_propagators=tuple(name for name in propagators if name not in (*_DEFAULT_PROPAGATORS, "none")),
        queue_size=int(given.get(_QUEUE, _QUEUE_SIZE)),
        named="OTEL_SERVICE_NAME" in given or "service.name=" in given.get("OTEL_RESOURCE_ATTRIBUTES", ""),
    )


def _first(given: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((given[name] for name in names if name in given), "")


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _switch_faults(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is wrong with the variables that say whether there are traces at all."""
    for name, check in _SWITCHES.items():
        if name in given and (fault := check(given[name])):
            yield name, fault


def _faults(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is wrong with all the others; the SDK would take its defaults without a word."""
    for name, check in _CHECKS.items():
        if name in given and (fault := check(given[name])):
            yield name, fault
    if given.get("OTEL_TRACES_SAMPLER") in _RATIO_SAMPLERS and "OTEL_TRACES_SAMPLER_ARG" in given:
        fault = _share(given["OTEL_TRACES_SAMPLER_ARG"])
        if fault:
            yield "OTEL_TRACES_SAMPLER_ARG", fault
    sizes = [given.get(_BATCH, str(_BATCH_SIZE)), given.get(_QUEUE, str(_QUEUE_SIZE))]
    if not any(map(_positive, sizes)) and int(sizes[0]) > int(sizes[1]):
        yield _BATCH, f"should be no larger than {_QUEUE}, {sizes[1]}"


def _choice(*names: str) -> Callable[[str], str | None]:
    told = f"should be {', '.join(names[:-1])} or {names[-1]}"
    return lambda text: None if text in names else told


def _list(*names: str) -> Callable[[str], str | None]:
    told = f"should be some of {', '.join(names)}, with commas between them"
    return lambda text: None if (words := _words(text)) and not {*words} - {*names} else told


def _switch(text: str) -> str | None:
    return None if text.lower() in ("true", "false") else "should be true or false"


def _whole(text: str) -> str | None:
    whole = text.isascii() and text.isdigit() and int(text) <= 1_000_000_000
    return None if whole else "should be a whole number"


def _positive(text: str) -> str | None:
    return "should be a whole number above 0" if _whole(text) or int(text) == 0 else None


def _seconds(text: str) -> str | None:
    number = _number(text)
    return None if number is not None and number > 0 else "should be a number of seconds above 0"


def _share(text: str) -> str | None:
    number = _number(text)
    return None if number is not None and 0 <= number <= 1 else "should be a number from 0 to 1"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _url(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if good and "@" in parts.netloc:  # it would stand in the log whenever an export fails
        return "should hold no name and no password: OTEL_EXPORTER_OTLP_HEADERS is for those"
    return None if good else "should be a URL such as http://collector:4317"


def _pairs(text: str) -> str | None:
    good = all("=" in pair and pair.split("=")[0].strip() for pair in text.split(",") if pair.strip())
    return None if good else "should be name=value pairs with commas between them"


def _file(text: str) -> str | None:
    try:
        with Path(text).open("rb"):
            return None
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _of_otlp(name: str, check: Callable[[str], str | None]) -> dict[str, Callable[[str], str | None]]:
    """A check of a variable that there is for all signals, and for traces alone."""
    return {f"OTEL_EXPORTER_OTLP_{name}": check, f"OTEL_EXPORTER_OTLP_TRACES_{name}": check}


_SWITCHES: Mapping[str, Callable[[str], str | None]] = MappingProxyType(
    {"OTEL_SDK_DISABLED": _switch, "OTEL_TRACES_EXPORTER": _list("otlp", "console", "none")}
)
_CHECKS: Mapping[str, Callable[[str], str | None]] = MappingProxyType(
    {
        **_of_otlp("ENDPOINT", _url),
        **_of_otlp("PROTOCOL", _choice("grpc", "http/protobuf")),
        **_of_otlp("TIMEOUT", _seconds),
        **_of_otlp("COMPRESSION", _choice("none", "gzip")),
        **_of_otlp("INSECURE", _switch),
        **_of_otlp("HEADERS", _pairs),
        **_of_otlp("CERTIFICATE", _file),
        **_of_otlp("CLIENT_KEY", _file),
        **_of_otlp("CLIENT_CERTIFICATE", _file),
        "OTEL_TRACES_SAMPLER": _choice(*_SAMPLERS),
        "OTEL_RESOURCE_ATTRIBUTES": _pairs,
        "OTEL_BSP_SCHEDULE_DELAY": _positive,
        "OTEL_BSP_EXPORT_TIMEOUT": _positive,
        _QUEUE: _positive,
        _BATCH: _positive,
        **{
            f"OTEL_{name}_LIMIT": _whole
            for name in ("SPAN_LINK_COUNT", "SPAN_EVENT_COUNT", "SPAN_ATTRIBUTE_COUNT", "ATTRIBUTE_COUNT")
        },
    }
)
