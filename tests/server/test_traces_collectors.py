"""Collectors of all sorts, and none: what becomes of spans, and that requests do not notice."""

import re
import socket
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import grpc
import pytest

from rhapsode.v1.text_pb2 import GenerateTextRequest
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from support import collector
from support.caller import caller
from support.requests import text
from support.server import Process, process

QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "20"}
GENERATE = "rhapsode.v1.TextService/GenerateText"
WITHOUT_EXTRA = (
    "-c",
    "import sys; sys.modules['opentelemetry'] = None; from rhapsode_server.main import main; main()",
)


def answered(server: Process, metadata: tuple[tuple[str, str], ...] = ()) -> bool:
    with grpc.insecure_channel(server.address) as channel:
        return bool(
            TextServiceStub(channel).GenerateText(GenerateTextRequest(generation=text(3)), metadata=metadata).candidates
        )


def lost_spans(server: Process) -> float:
    """What its page says of exports that failed."""
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=60) as page:
        (value,) = re.findall(
            r'^rhapsode_spans_dropped_total{reason="export_failed"} (\S+)$', str(page.read(), "utf-8"), re.MULTILINE
        )
    return float(value)


def rest_of(server: Process) -> str:
    """What the server has said, once it has ended."""
    return server.child.rest()


def test_spans_go_over_http_and_the_last_ones_at_the_end(one_model: Path) -> None:
    who = caller()
    with collector.over_http() as received:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_BSP_SCHEDULE_DELAY": "600000",
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=muse,deployment.environment.name=test",
        }
        with process(one_model, variables=variables) as server:
            assert answered(server, who.metadata)
            assert server.stop() == 0
        spans = received.trace(who.trace_id, GENERATE, "queue", "run")
        assert {span.service for span in spans} == {"muse"}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_collector_that_is_not_there_costs_spans_and_a_line(one_model: Path, protocol: str) -> None:
    variables = QUICK | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    with process(one_model, variables=variables) as server:
        assert answered(server)
        told = server.until_logged("traces cannot be exported")
        assert told["level"] == "warning"
        assert told["reason"]
        assert lost_spans(server) >= told["spans"] > 0
        assert answered(server)
        assert server.stop() == 0
        assert "cannot be exported" not in rest_of(server)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_collector_that_never_answers_holds_up_the_end_for_seconds_and_is_told_of(
    one_model: Path, protocol: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        variables = QUICK | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        with process(one_model, variables=variables) as server:
            assert answered(server)
            assert server.stop() == 0
            assert rest_of(server).count('"msg": "traces cannot be exported"') == 1


def test_what_is_meant_for_others_is_ignored_and_a_limit_may_be_none_at_all(one_model: Path) -> None:
    who = caller()
    with collector.over_grpc() as received:
        variables = QUICK | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
            "OTEL_PROPAGATORS": "tracecontext,b3,jaeger",
            "OTEL_SPAN_LINK_COUNT_LIMIT": "0",
            "OTEL_SPAN_EVENT_COUNT_LIMIT": "0",
        }
        with process(one_model, variables=variables) as server:
            assert answered(server, who.metadata)
            spans = received.trace(who.trace_id, GENERATE, "run")
            assert server.stop() == 0
    served, run = (next(span for span in spans if span.name == name) for name in (GENERATE, "run"))
    assert (served.parent_id, served.events, run.links) == (who.span_id, (), ())


@pytest.mark.parametrize("variables", [{}, {"OTEL_TRACES_EXPORTER": "otlp"}], ids=["not asked for", "asked for"])
def test_without_the_extra_the_server_serves_on(one_model: Path, variables: Mapping[str, str]) -> None:
    with process(one_model, variables=variables, program=WITHOUT_EXTRA) as server:
        assert answered(server)
        assert server.stop() == 0
