"""Administration is for those whom the access file names for it; a credential for everything else is none."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from rhapsode.v1.admin_pb2 import DESCRIPTOR, ReloadCredentialsRequest
from rhapsode.v1.admin_pb2_grpc import AdminServiceStub
from rhapsode.v1.model_pb2 import LoadModelRequest
from rhapsode_server.rpc.methods import ADMINISTERED, COMMANDS, is_served
from support import bundles
from support.access import bearer, entry, write
from support.raw_calls import code_raw
from support.server import Loaded, Running, load, running

OPERATOR, BOTH, ALL = "token-of-operator", "token-of-both", "token-of-all"
MODELS, LOADER, STRANGER = "token-of-models", "token-of-loader", "token-of-stranger"
LOAD = "rhapsode.v1.ModelService/LoadModel"
SERVICE = DESCRIPTOR.services_by_name["AdminService"]
METHODS = [f"/{SERVICE.full_name}/{method.name}" for method in SERVICE.methods]
REFLECT = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture
def models(tmp_path: Path) -> Loaded:
    bundles.stepper().write(tmp_path)
    return load(tmp_path)


@pytest.fixture
async def server(models: Loaded, tmp_path: Path) -> AsyncIterator[Running]:
    access = write(
        tmp_path / "access.toml",
        # Of these requests none is counted.
        entry("operator", OPERATOR, methods=[SERVICE.full_name], models=[], concurrency=1, rate=0.01, burst=1),
        entry("both", BOTH, methods=["*", SERVICE.full_name]),
        entry("all", ALL),
        entry("models", MODELS, methods=["*", "rhapsode.v1.ModelService"]),
        entry("loader", LOADER, methods=[LOAD], models=["tiny-text"]),
        entry("stranger", STRANGER, methods=[LOAD], models=["another"]),
    )
    async with running(models, models=str(tmp_path), access=access, admin_address=f"unix:{tmp_path}/admin") as started:
        yield started


async def test_a_credential_that_names_it_is_needed(server: Running) -> None:
    async with grpc.aio.insecure_channel(server.server.admin_address) as channel:
        for path in METHODS:
            assert await code_raw(channel, path) is UNAUTHENTICATED, path  # before its message comes
            assert await code_raw(channel, path, (), b"") is UNAUTHENTICATED, path
            assert await code_raw(channel, path, bearer(ALL), b"") is DENIED, path
            for token in (OPERATOR, BOTH):
                assert await code_raw(channel, path, bearer(token), b"") not in (UNAUTHENTICATED, DENIED), path
        assert await code_raw(channel, "/grpc.health.v1.Health/Check", (), b"") is grpc.StatusCode.OK
        assert await code_raw(channel, REFLECT, (), b"") is UNAUTHENTICATED


async def test_what_changes_models_is_named_by_its_method(server: Running) -> None:
    async with grpc.aio.insecure_channel(server.server.admin_address) as channel:
        for path in (f"/{name}" for name in sorted(COMMANDS)):
            assert await code_raw(channel, path) is UNAUTHENTICATED, path
            for token in (OPERATOR, BOTH, ALL, MODELS):
                assert await code_raw(channel, path, bearer(token), b"") is DENIED, path
        asked = LoadModelRequest(model="tiny-text@7").SerializeToString()
        load = f"/{LOAD}"
        assert await code_raw(channel, load, bearer(LOADER), asked) is grpc.StatusCode.NOT_FOUND
        assert await code_raw(channel, load, bearer(LOADER), b"") is grpc.StatusCode.INVALID_ARGUMENT
        known = LoadModelRequest(model="tiny-text").SerializeToString()
        assert await code_raw(channel, load, bearer(STRANGER), known) is grpc.StatusCode.NOT_FOUND
        assert await code_raw(channel, "/rhapsode.v1.ModelService/UnloadModel", bearer(LOADER), known) is DENIED


async def test_every_method_of_the_admin_address_is_known(server: Running) -> None:
    methods = {f"/{name}/{method}" for name, those in ADMINISTERED.items() for method in those}
    async with grpc.aio.insecure_channel(server.server.admin_address) as channel:
        for path in sorted(methods):
            assert is_served(path[1:]), path
            refused = await code_raw(channel, path, (), b"") if "Health" not in path else UNAUTHENTICATED
            assert refused is UNAUTHENTICATED, path
        ask: Any = channel.stream_stream(
            REFLECT, ServerReflectionRequest.SerializeToString, ServerReflectionResponse.FromString
        )
        every = ask(iter([ServerReflectionRequest(list_services="")]), metadata=bearer(BOTH))
        (listed,) = [{each.name for each in reply.list_services_response.service} async for reply in every]
    assert listed == ADMINISTERED.keys()


async def test_the_file_is_read_when_told_to(server: Running, tmp_path: Path) -> None:
    async with grpc.aio.insecure_channel(server.server.admin_address) as channel:
        admin = AdminServiceStub(channel)
        reply = await admin.ReloadCredentials(ReloadCredentialsRequest(), metadata=bearer(OPERATOR))
        assert [(each.name, each.problem) for each in reply.credentials] == [("access", "")]
        (tmp_path / "access.toml").write_text("nonsense")
        reply = await admin.ReloadCredentials(ReloadCredentialsRequest(), metadata=bearer(OPERATOR))
    assert [(each.name, bool(each.problem)) for each in reply.credentials] == [("access", True)]
