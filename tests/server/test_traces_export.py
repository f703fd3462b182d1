"""A real server exports its spans to a real receiver."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from rhapsode.v1 import image_pb2, text_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from support import bundles, collector
from support.caller import caller
from support.collector import Collector, Seen
from support.requests import ENDLESS, images, text
from support.server import Process, process

QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "20"}
GENERATE, STREAM = "rhapsode.v1.TextService/GenerateText", "rhapsode.v1.TextService/StreamText"


@dataclass(frozen=True)
class Traced:
    """A server, what it exports to, and stubs of it."""

    server: Process
    collector: Collector
    channel: grpc.Channel

    @property
    def text(self) -> TextServiceStub:
        return TextServiceStub(self.channel)

    @property
    def image(self) -> ImageServiceStub:
        return ImageServiceStub(self.channel)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    bundles.stepper().write(folder)
    bundles.stepper("failing", nan_after="z").write(folder)
    bundles.autoencoder().write(folder)
    return folder


@pytest.fixture(scope="module")
def traced(models: Path) -> Iterator[Traced]:
    with collector.over_grpc() as received:
        variables = QUICK | {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint, "OTEL_SERVICE_NAME": "muse"}
        with (
            process(models, "--max-tokens", str(ENDLESS), variables=variables) as server,
            grpc.insecure_channel(server.address) as channel,
        ):
            yield Traced(server, received, channel)


def named(spans: list[Seen], name: str) -> Seen:
    return next(span for span in spans if span.name == name)


def generate(tokens: int = 3, **fields: object) -> text_pb2.GenerateTextRequest:
    return text_pb2.GenerateTextRequest(generation=text(tokens, **fields))


def test_a_text_is_a_span_below_its_callers_with_its_wait_and_its_runs(traced: Traced) -> None:
    who = caller()
    traced.text.GenerateText(generate(), metadata=who.metadata)
    spans = traced.collector.trace(who.trace_id, GENERATE, "queue", "run")
    served = named(spans, GENERATE)
    assert (served.parent_id, served.server, served.failed, served.service) == (who.span_id, True, False, "muse")
    assert served.state == "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    host, port = traced.server.address.split(":")
    expected = {
        "rpc.system.name": "grpc",
        "rpc.method": GENERATE,
        "rpc.response.status_code": "OK",
        "server.address": host,
        "server.port": int(port),
        "client.address": "127.0.0.1",
        "rhapsode.model": "tiny-text",
        "rhapsode.model_version": 1,
        "rhapsode.items": 3,
    }
    assert served.told.items() >= expected.items()
    lane = {"rhapsode.model": "tiny-text", "rhapsode.model_version": 1, "rhapsode.role": "step"}
    for name in ("queue", "run"):
        span = named(spans, name)
        assert (span.parent_id, span.server, span.state) == (served.span_id, False, served.state)
        assert span.told.items() >= lane.items()
        assert 0 <= span.seconds <= served.seconds
    run = named(spans, "run")
    assert (run.links, run.told["rhapsode.rows"]) == ((served.span_id,), 1)
    assert int(run.told["rhapsode.steps"]) in (1, 2, 3)


def test_a_log_line_names_the_span(traced: Traced) -> None:
    who = caller()
    traced.text.GenerateText(generate(), metadata=(*who.metadata, ("x-request-id", "mine")))
    served = named(traced.collector.trace(who.trace_id, GENERATE), GENERATE)
    line = traced.server.until_logged("rpc")
    while line["request_id"] != "mine":
        line = traced.server.until_logged("rpc")
    assert (line["trace_id"], line["span_id"]) == (who.trace_id, served.span_id)
    assert served.told["rhapsode.request_id"] == "mine"


def test_a_stream_notes_its_first_message(traced: Traced) -> None:
    who = caller()
    stream = traced.text.StreamText(text_pb2.StreamTextRequest(generation=text(3)), metadata=who.metadata)
    assert list(stream)
    assert named(traced.collector.trace(who.trace_id, STREAM), STREAM).events == ("first message",)


def test_pictures_have_a_span_for_their_files(traced: Traced) -> None:
    who = caller()
    asked = images(5, format=image_pb2.IMAGE_FORMAT_PNG)
    traced.image.GenerateImages(image_pb2.GenerateImagesRequest(generation=asked), metadata=who.metadata)
    spans = traced.collector.trace(who.trace_id, "rhapsode.v1.ImageService/GenerateImages", "encode", "run", "queue")
    served = named(spans, "rhapsode.v1.ImageService/GenerateImages")
    written = [span for span in spans if span.name == "encode"]
    assert {span.parent_id for span in written} == {served.span_id}
    assert {span.told["rhapsode.format"] for span in written} == {"png"}
    assert sum(int(span.told["rhapsode.pictures"]) for span in written) == 5


def test_a_run_is_linked_to_all_who_share_it(traced: Traced) -> None:
    callers = (caller(), caller())
    asked = text_pb2.StreamTextRequest(generation=text(ENDLESS))
    first = traced.text.StreamText(asked, metadata=callers[0].metadata)
    second = traced.text.StreamText(asked, metadata=callers[1].metadata)
    for _ in zip(first, second, strict=True):
        if any(len(span.links) == 2 for span in traced.collector.so_far()):
            break
    first.cancel()
    second.cancel()
    served = [named(traced.collector.trace(who.trace_id, STREAM), STREAM).span_id for who in callers]
    shared = next(span for span in traced.collector.spans if {*span.links} == {*served})
    assert (shared.name, shared.told["rhapsode.rows"]) == ("run", 2)
    assert shared.parent_id == shared.links[0]


def test_an_error_of_the_callers_is_no_failure_and_one_of_ours_is(traced: Traced) -> None:
    theirs, ours = caller(), caller()
    with pytest.raises(grpc.RpcError):
        traced.text.GenerateText(generate(0), metadata=theirs.metadata)
    with pytest.raises(grpc.RpcError):
        traced.text.GenerateText(generate(200, model="failing", text="z"), metadata=ours.metadata)
    refused = named(traced.collector.trace(theirs.trace_id, GENERATE), GENERATE)
    assert (refused.failed, refused.told["rpc.response.status_code"]) == (False, "INVALID_ARGUMENT")
    assert refused.told["rhapsode.reason"] == "INVALID_FIELD"
    failed = named(traced.collector.trace(ours.trace_id, GENERATE), GENERATE)
    assert (failed.failed, failed.told["error.type"]) == (True, "INTERNAL")
    assert failed.told["rhapsode.reason"] == "NON_FINITE_OUTPUT"


def test_a_cancelled_stream_ends_its_span(traced: Traced) -> None:
    who = caller()
    stream = traced.text.StreamText(text_pb2.StreamTextRequest(generation=text(ENDLESS)), metadata=who.metadata)
    next(stream)
    stream.cancel()
    served = named(traced.collector.trace(who.trace_id, STREAM), STREAM)
    assert (served.told["rpc.response.status_code"], served.failed) == ("CANCELLED", False)
    assert served.events == ("first message", "cancelled")


def test_what_its_caller_does_not_keep_is_not_exported(traced: Traced) -> None:
    dropped, kept = caller(sampled=False), caller()
    for who in (dropped, kept):
        traced.text.GenerateText(generate(), metadata=who.metadata)
    spans = traced.collector.trace(kept.trace_id, GENERATE, "queue", "run")
    assert spans
    assert dropped.trace_id not in {span.trace_id for span in traced.collector.spans}


def test_a_malformed_parent_means_a_trace_of_its_own(traced: Traced) -> None:
    sent = (("traceparent", "00-nonsense"), ("tracestate", "a=b"), ("x-request-id", "orphan"))
    traced.text.GenerateText(generate(), metadata=sent)
    spans = traced.collector.until(lambda seen: any(span.told.get("rhapsode.request_id") == "orphan" for span in seen))
    root = next(span for span in spans if span.told.get("rhapsode.request_id") == "orphan")
    assert (root.parent_id, root.state) == ("", "")


def test_a_method_that_there_is_not_has_a_span_and_a_probe_has_none(traced: Traced) -> None:
    who = caller()
    channel: Any = traced.channel
    channel.unary_unary("/grpc.health.v1.Health/Check")(b"", metadata=who.metadata)
    with pytest.raises(grpc.RpcError):
        channel.unary_unary("/made.Up/Name")(b"", metadata=who.metadata)
    (span,) = traced.collector.trace(who.trace_id, "grpc")
    assert (span.told["rpc.method"], span.told["rpc.method_original"]) == ("_OTHER", "/made.Up/Name")
    assert (span.failed, span.told["error.type"]) == (True, "UNIMPLEMENTED")
