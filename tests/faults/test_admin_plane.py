"""The admin plane: what operators see and change, whatever the models' address is at; and that it is nobody else's."""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from benchmarks.abuse.wire import Wire
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from rhapsode.v1 import admin_pb2, image_pb2, text_pb2
from rhapsode.v1.admin_pb2 import LogLevel, Readiness
from rhapsode.v1.admin_pb2_grpc import AdminServiceStub
from rhapsode.v1.model_pb2 import ListModelsRequest, UnloadModelRequest
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode_server import command_line
from rhapsode_server.errors import ConfigError
from rhapsode_server.rpc.methods import MODEL_CONTROL
from support.bundles import grey_generator, stepper
from support.certificates import authority
from support.refusals import refusal
from support.requests import ENDLESS, PATIENT, generate_text, images, text
from support.server import Loaded, Running, load, process, running

if TYPE_CHECKING:
    from rhapsode.v1.admin_pb2_grpc import AdminServiceAsyncStub

ANYWHERE = "127.0.0.1:0"
NOW = admin_pb2.GetServerStateRequest()
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    stepper().write(folder)
    return folder


@pytest.fixture(scope="module")
def models(small: Path) -> Loaded:
    return load(small)


@asynccontextmanager
async def administered(
    loaded: Loaded, folder: Path, **settings: str | int | float
) -> "AsyncIterator[tuple[Running, AdminServiceAsyncStub, grpc.aio.Channel]]":
    """A server, its admin service, and the channel to that."""
    async with (
        running(loaded, admin_address=f"unix:{folder}/admin", **settings) as server,
        grpc.aio.insecure_channel(server.server.admin_address) as channel,
    ):
        yield server, AdminServiceStub(channel), channel


async def health(channel: grpc.aio.Channel, name: str) -> int:
    stub: Any = health_pb2_grpc.HealthStub(channel)  # its stubs know no rpcs
    return int((await stub.Check(HealthCheckRequest(service=name))).status)


async def code(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


async def read_on(stream: "grpc.aio.UnaryStreamCall[Any, Any]") -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass


async def test_it_tells_what_the_server_does(models: Loaded, tmp_path: Path) -> None:
    async with administered(models, tmp_path, slots=1, queue=2, max_tokens=ENDLESS, **PATIENT) as (server, admin, _):
        assert not (await admin.GetServerState(NOW)).server.lanes[0].active
        request = text_pb2.StreamTextRequest(generation=text(ENDLESS))
        # Both are read: one that is not leaves its slot to the other, and then nobody waits.
        streams = [server.text.StreamText(request) for _ in range(2)]
        readers = [asyncio.create_task(read_on(stream)) for stream in streams]
        while not (state := (await admin.GetServerState(NOW)).server).lanes[0].queued:
            await asyncio.sleep(0)
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    lane, raw = state.lanes
    assert (lane.model, lane.version, lane.role) == ("tiny-text", 1, "step")
    assert (raw.role, raw.slots, raw.active) == ("step_raw", 1, 0)
    assert (lane.slots, lane.active, lane.queued) == (1, 1, 1)
    assert {each.method: each.count for each in state.open_rpcs} == {
        "rhapsode.v1.AdminService/GetServerState": 1,
        "rhapsode.v1.TextService/StreamText": 2,
    }
    assert (state.readiness, state.log_level) == (Readiness.READINESS_READY, LogLevel.LOG_LEVEL_INFO)
    assert state.version
    assert state.uptime.ToNanoseconds() > 0
    assert not state.HasField("certificate_expiry")


async def test_a_reader_who_does_not_read_is_seen(tmp_path: Path) -> None:
    grey_generator().write(tmp_path)
    async with administered(load(tmp_path), tmp_path) as (server, admin, _):
        asked = images(100_000, format=image_pb2.IMAGE_FORMAT_RAW_FLOAT32, model="tiny-digits")
        call = server.image.StreamImages(image_pb2.StreamImagesRequest(generation=asked))
        await call.read()
        while not any(lane.parked for lane in (await admin.GetServerState(NOW)).server.lanes):
            await asyncio.sleep(0.01)
        call.cancel()


async def test_each_plane_knows_its_own_methods_only(models: Loaded, tmp_path: Path) -> None:
    async with administered(models, tmp_path) as (server, _, channel):
        for path in ("GetServerState", "SetReadiness", "SetLogLevel", "ReloadCredentials"):
            method: Any = server.channel.unary_unary(f"/rhapsode.v1.AdminService/{path}")
            assert await code(method(b"")) is grpc.StatusCode.UNIMPLEMENTED, path
        for path in sorted(MODEL_CONTROL):
            method = server.channel.unary_unary(f"/rhapsode.v1.ModelService/{path}")
            assert await code(method(b"")) is grpc.StatusCode.UNIMPLEMENTED, path
        assert (await ModelServiceStub(channel).ListModels(ListModelsRequest())).models
        for path in ("TextService/GenerateText", "ImageService/GenerateImages"):
            method = channel.unary_unary(f"/rhapsode.v1.{path}")
            assert await code(method(b"")) is grpc.StatusCode.UNIMPLEMENTED, path


async def test_a_server_leaves_the_rotation_and_serves_on(models: Loaded, tmp_path: Path) -> None:
    async with administered(models, tmp_path) as (server, admin, channel):
        away = admin_pb2.SetReadinessRequest(readiness=Readiness.READINESS_WITHDRAWN)
        assert (await admin.SetReadiness(away)).readiness == Readiness.READINESS_WITHDRAWN
        for plane in (server.channel, channel):
            assert [await health(plane, name) for name in ("", "readiness", "tiny-text")] == [NOT_SERVING] * 3
            assert await health(plane, "liveness") == SERVING
        assert (await generate_text(server, text(3))).candidates
        assert "rhapsode_ready 0.0" in await server.page()
        assert (await admin.GetServerState(NOW)).server.readiness == Readiness.READINESS_WITHDRAWN
        back = admin_pb2.SetReadinessRequest(readiness=Readiness.READINESS_READY)
        assert (await admin.SetReadiness(back)).readiness == Readiness.READINESS_READY
        assert await health(server.channel, "readiness") == SERVING
        assert "rhapsode_ready 1.0" in await server.page()
        for nonsense in (Readiness.READINESS_UNSPECIFIED, Readiness.READINESS_LEAVING):
            call = admin.SetReadiness(admin_pb2.SetReadinessRequest(readiness=nonsense))
            assert await code(call) is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_server_without_a_model_is_idle(models: Loaded, tmp_path: Path) -> None:
    async with administered(models, tmp_path) as (server, admin, channel):
        for name in server.server.catalog.names:
            await ModelServiceStub(channel).UnloadModel(UnloadModelRequest(model=name))
        assert (await admin.GetServerState(NOW)).server.readiness == Readiness.READINESS_IDLE
        assert await health(server.channel, "readiness") == NOT_SERVING
        assert "rhapsode_ready 0.0" in await server.page()
        away = admin_pb2.SetReadinessRequest(readiness=Readiness.READINESS_WITHDRAWN)
        assert (await admin.SetReadiness(away)).readiness == Readiness.READINESS_WITHDRAWN
        back = admin_pb2.SetReadinessRequest(readiness=Readiness.READINESS_READY)
        assert (await admin.SetReadiness(back)).readiness == Readiness.READINESS_IDLE


async def test_the_log_says_more_and_less(models: Loaded, tmp_path: Path) -> None:
    async with administered(models, tmp_path) as (server, admin, channel):
        more = admin_pb2.SetLogLevelRequest(level=LogLevel.LOG_LEVEL_DEBUG)
        assert (await admin.SetLogLevel(more)).previous == LogLevel.LOG_LEVEL_INFO
        await health(channel, "")
        less = admin_pb2.SetLogLevelRequest(level=LogLevel.LOG_LEVEL_ERROR)
        assert (await admin.SetLogLevel(less)).previous == LogLevel.LOG_LEVEL_DEBUG
        await generate_text(server, text(3))
        assert (await admin.GetServerState(NOW)).server.log_level == LogLevel.LOG_LEVEL_ERROR
        assert await code(admin.SetLogLevel(admin_pb2.SetLogLevelRequest())) is grpc.StatusCode.INVALID_ARGUMENT
    methods = [line["grpc_method"] for line in server.log_lines() if line["msg"] == "rpc"]
    assert "grpc.health.v1.Health/Check" in methods
    assert "rhapsode.v1.TextService/GenerateText" not in methods


async def test_credentials_are_read_when_told_to(models: Loaded, tmp_path: Path) -> None:
    ours = authority(tmp_path / "ours")
    chain, key = ours.certificate("localhost")
    files = {"tls_certificate": str(chain), "tls_key": str(key)}
    async with administered(models, tmp_path, address=ANYWHERE, **files) as (_, admin, _channel):
        (tls,) = (await admin.ReloadCredentials(admin_pb2.ReloadCredentialsRequest())).credentials
        assert (tls.name, tls.problem) == ("tls", "")
        assert (await admin.GetServerState(NOW)).server.HasField("certificate_expiry")
        key.write_bytes(b"nonsense")
        (tls,) = (await admin.ReloadCredentials(admin_pb2.ReloadCredentialsRequest())).credentials
        assert "holds no private key" in tls.problem


async def test_it_speaks_tls_on_a_port_where_the_models_do(models: Loaded, tmp_path: Path) -> None:
    ours = authority(tmp_path / "ours")
    chain, key = ours.certificate("localhost")
    files = {"tls_certificate": str(chain), "tls_key": str(key)}
    async with running(models, address=ANYWHERE, admin_address=ANYWHERE, **files) as server:
        port = server.server.admin_address.rpartition(":")[2]
        async with grpc.aio.secure_channel(f"localhost:{port}", ours.credentials()) as channel:
            assert (await AdminServiceStub(channel).GetServerState(NOW)).server.version
        async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
            assert await code(AdminServiceStub(channel).GetServerState(NOW)) is grpc.StatusCode.UNAVAILABLE


async def test_it_answers_when_the_models_have_all_that_they_may_have(models: Loaded, tmp_path: Path) -> None:
    full = {"max_connections": 2, "slots": 1, "queue": 1, "max_tokens": ENDLESS, **PATIENT}
    async with administered(models, tmp_path, address=ANYWHERE, **full) as (server, admin, channel):
        request = text_pb2.StreamTextRequest(generation=text(ENDLESS))
        served = server.text.StreamText(request)
        await served.read()
        waits = server.text.StreamText(request)
        with Wire(server.address) as second:
            await asyncio.to_thread(
                second.receive, 30.0
            )  # its settings: a connection that says nothing is closed before long
            assert await refused(server.address) is grpc.StatusCode.UNAVAILABLE
            assert await health(channel, "liveness") == SERVING
            assert (await admin.GetServerState(NOW)).server.lanes[0].active == 1
        served.cancel()
        waits.cancel()


async def refused(address: str) -> grpc.StatusCode:
    """How a new connection to the models fares."""
    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        return await code(ModelServiceStub(channel).ListModels(ListModelsRequest()))


async def test_it_answers_while_the_server_drains_and_is_for_its_user_alone(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "admin"
    with process(small, "--drain-delay", "600", "--admin-address", f"unix:{path}") as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            admin: AdminServiceAsyncStub = AdminServiceStub(channel)
            server.process.terminate()
            await asyncio.to_thread(server.until_logged, "draining")
            assert (await admin.GetServerState(NOW)).server.readiness == Readiness.READINESS_LEAVING
            back = admin_pb2.SetReadinessRequest(readiness=Readiness.READINESS_READY)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await admin.SetReadiness(back)
        assert refusal(caught.value).info.reason == "SHUTTING_DOWN"


@pytest.mark.parametrize("address", ["0.0.0.0:50052", "[::]:50052", "10.0.0.7:50052", "rhapsode.example:50052"])
def test_others_than_this_machine_need_a_credential(address: str) -> None:
    place, batch = wrong("--admin-address", address, "--max-batch", "0")
    assert place.startswith("--admin-address: should be unix:path or a loopback address (127.0.0.1, [::1], localhost)")
    assert batch.startswith("--max-batch: ")
    assert settings("--admin-address", address, "--access", "access.toml") == address


@pytest.mark.parametrize("address", ["unix:/run/admin", "127.0.0.1:50052", "127.1.2.3:0", "[::1]:50052", "localhost:1"])
def test_this_machine_needs_none(address: str) -> None:
    assert settings("--admin-address", address) == address


def test_it_is_of_one_process_and_not_the_address_of_the_models() -> None:
    assert wrong("--admin-address", "unix:/run/admin", "--workers", "2") == [
        "--workers: should be 1 with an admin address, which tells of one process"
    ]
    assert wrong("--admin-address", "127.0.0.1:50051") == ["--admin-address: should be another one than --address"]


def settings(*words: str) -> str:
    return command_line.read(words, {})[1].admin_address


def wrong(*words: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        command_line.read(words, {})
    return caught.value.message.splitlines()
