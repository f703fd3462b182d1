"""What the standard variables of OpenTelemetry mean to the server, and what is wrong with wrong ones."""

import io
import json
import logging
import sys
from collections.abc import Callable

import pytest

from rhapsode_server.errors import ConfigError
from rhapsode_server.main import run
from rhapsode_server.observe.logs import open_log
from rhapsode_server.observe.opening import open_traces
from rhapsode_server.observe.traces import NO_TRACES
from rhapsode_server.observe.traces_settings import read_settings

ON = {"OTEL_TRACES_EXPORTER": "otlp"}
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "muse", "OTEL_TRACES_SAMPLER": "always_on"},
        {"OTEL_TRACES_EXPORTER": ""},
        {"OTEL_TRACES_EXPORTER": "none"},
        ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"},
        ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_SAMPLER": "wrong, but nobody asks"},
    ],
)
def test_no_traces_are_asked_for(environ: dict[str, str]) -> None:
    assert read_settings(environ) is None


@pytest.mark.parametrize(
    ("environ", "exporters", "protocol"),
    [
        (ON, ("otlp",), "grpc"),
        (ENDPOINT, ("otlp",), "grpc"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://c:443/v1/traces"}, ("otlp",), "grpc"),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, ("console", "otlp"), "grpc"),
        (ON | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, ("otlp",), "http/protobuf"),
        (
            ON | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"},
            ("otlp",),
            "grpc",
        ),
        (ON | {"OTEL_SDK_DISABLED": "false"}, ("otlp",), "grpc"),
    ],
)
def test_traces_are_asked_for(environ: dict[str, str], exporters: tuple[str, ...], protocol: str) -> None:
    settings = read_settings(environ)
    assert settings is not None
    assert (settings.exporters, settings.protocol) == (exporters, protocol)


@pytest.mark.parametrize(
    ("propagators", "continues"),
    [
        ("", True),
        (",", True),
        ("tracecontext", True),
        ("baggage,tracecontext", True),
        ("tracecontext,b3", True),
        ("baggage", False),
        ("b3", False),
        ("none", False),
        ("none,tracecontext", False),
    ],
)
def test_a_callers_trace_is_gone_on_with_where_propagators_say_so(propagators: str, continues: bool) -> None:
    settings = read_settings(ON | {"OTEL_PROPAGATORS": propagators})
    assert settings is not None
    assert settings.continues is continues


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin", "otlp, console, none"),
        ("OTEL_TRACES_EXPORTER", ",", "otlp, console, none"),
        ("OTEL_SDK_DISABLED", "maybe", "true or false"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port", "URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://name:secret@collector:4317", "no password"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://[::1", "URL"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "grpc or http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "seconds"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "nan", "seconds"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "none or gzip"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "name=value"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem", "cannot be read"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "parentbased_traceidratio"),
        ("OTEL_RESOURCE_ATTRIBUTES", "name", "name=value"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1", "above 0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many", "above 0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096", "no larger than OTEL_BSP_MAX_QUEUE_SIZE"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "x", "whole number"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "-1", "whole number"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(ON | {name: value})
    assert caught.value.message.startswith(f"{name}: ")
    assert words in caught.value.message
    assert "secret" not in caught.value.message


def test_a_ratio_is_a_share() -> None:
    asked = ON | {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
    assert read_settings(asked | {"OTEL_TRACES_SAMPLER_ARG": "0.25"})
    with pytest.raises(ConfigError, match="OTEL_TRACES_SAMPLER_ARG: should be a number from 0 to 1"):
        read_settings(asked | {"OTEL_TRACES_SAMPLER_ARG": "25"})


def test_the_queue_is_as_long_as_it_is_said_to_be() -> None:
    default, given = read_settings(ON), read_settings(ON | {"OTEL_BSP_MAX_QUEUE_SIZE": "600"})
    assert default is not None
    assert given is not None
    assert (default.queue_size, given.queue_size) == (2048, 600)


def test_everything_wrong_is_told_at_once() -> None:
    wrong = {"OTEL_TRACES_EXPORTER": "x", "OTEL_TRACES_SAMPLER": "y", "OTEL_BSP_MAX_QUEUE_SIZE": "z"}
    with pytest.raises(ConfigError) as caught:
        read_settings(wrong)
    assert [line.partition(":")[0] for line in caught.value.message.splitlines()] == list(wrong)


def test_the_server_ends_before_it_loads_anything(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--models", "/nowhere"], {"OTEL_TRACES_EXPORTER": "jaeger"}) == 2
    assert capsys.readouterr().err.startswith("OTEL_TRACES_EXPORTER: should be")


def at_once(work: Callable[[], None]) -> None:
    work()


def test_propagators_that_are_not_known_are_named_in_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    sdk = logging.getLogger("opentelemetry")  # its lines are led elsewhere, for good
    monkeypatch.setattr(sdk, "handlers", [])
    monkeypatch.setattr(sdk, "propagate", True)
    asked = {"OTEL_TRACES_EXPORTER": "console", "OTEL_PROPAGATORS": "b3,tracecontext,jaeger"}
    log = io.StringIO()
    open_traces(read_settings(asked), "0", open_log("info", "json", "0", log), at_once).close()
    warned = json.loads(log.getvalue().splitlines()[0])
    assert (warned["level"], warned["msg"]) == ("warning", "propagators ignored")
    assert (warned["names"], warned["continues"]) == ("b3,jaeger", True)


def test_a_missing_extra_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("rhapsode_server.observe.otel")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    log = io.StringIO()
    traces = open_traces(read_settings(ON), "0", open_log("info", "json", "0", log), at_once)
    assert traces is NO_TRACES
    (line,) = log.getvalue().splitlines()
    assert '"level": "warning"' in line
    assert "opentelemetry is not installed: pip install" in line
