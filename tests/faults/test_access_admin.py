"""Administration needs a credential that names it; a credential for everything else is none."""

import tempfile
from pathlib import Path

import grpc
import pytest

from rhapsode.v1 import admin_pb2
from support import bundles
from support.access import bearer, entry, write
from support.raw_calls import code_raw
from support.server import Loaded, load, running

OK, UNAUTHENTICATED, DENIED = (
    grpc.StatusCode.OK,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)
SERVICE = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("models")
    bundles.stepper().write(folder)
    return load(folder)


async def test_administration_must_be_named(models: Loaded, tmp_path: Path) -> None:
    access = write(
        tmp_path / "access.toml",
        entry("everything-else", "all"),
        entry("operator", "operator", methods=[SERVICE.full_name], models=[], concurrency=1, rate=0.01, burst=1),
    )
    with tempfile.TemporaryDirectory(prefix="rhapsode-") as folder:
        admin = f"unix:{folder}/admin"
        async with running(models, access=access, admin_address=admin), grpc.aio.insecure_channel(admin) as channel:
            for path in (f"/{SERVICE.full_name}/{method.name}" for method in SERVICE.methods):
                assert await code_raw(channel, path) is UNAUTHENTICATED
                assert await code_raw(channel, path, bearer("all"), b"") is DENIED
                assert await code_raw(channel, path, bearer("operator"), b"") not in (UNAUTHENTICATED, DENIED)
            reloading = f"/{SERVICE.full_name}/ReloadCredentials"
            assert await code_raw(channel, reloading, bearer("operator"), b"") is OK
            assert await code_raw(channel, "/grpc.health.v1.Health/Check", (), b"") is OK
