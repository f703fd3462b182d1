"""Administration is for those whom the access file names for it, and for nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from rhapsode.v1.admin_pb2 import DESCRIPTOR, ReloadCredentialsRequest
from rhapsode.v1.admin_pb2_grpc import AdminServiceStub
from support import bundles
from support.access import bearer, entry, write
from support.raw_calls import code_raw
from support.server import Loaded, Running, load, running

ADMIN, ALL = "token-of-admin", "token-of-all"
METHODS = [f"/rhapsode.v1.AdminService/{method.name}" for method in DESCRIPTOR.services_by_name["AdminService"].methods]
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
        entry("admin", ADMIN, methods=["rhapsode.v1.AdminService"]),
        entry("all", ALL),
    )
    async with running(models, access=access, admin_address=f"unix:{tmp_path}/admin") as started:
        yield started


async def test_a_credential_for_it_is_needed(server: Running) -> None:
    async with grpc.aio.insecure_channel(server.server.admin_address) as channel:
        for path in METHODS:
            assert await code_raw(channel, path, (), b"") is UNAUTHENTICATED, path
            assert await code_raw(channel, path, bearer(ALL), b"") is DENIED, path
            assert await code_raw(channel, path, bearer(ADMIN), b"") not in (UNAUTHENTICATED, DENIED), path
        assert await code_raw(channel, "/grpc.health.v1.Health/Check", (), b"") is grpc.StatusCode.OK
        assert await code_raw(channel, REFLECT, (), b"") is UNAUTHENTICATED


async def test_the_file_is_read_when_told_to(server: Running, tmp_path: Path) -> None:
    async with grpc.aio.insecure_channel(server.server.admin_address) as channel:
        (tmp_path / "access.toml").write_text("nonsense")
        reply = await AdminServiceStub(channel).ReloadCredentials(ReloadCredentialsRequest(), metadata=bearer(ADMIN))
    assert [(each.name, bool(each.problem)) for each in reply.credentials] == [("access", True)]
