"""Versions, aliases, loading and unloading by the Open Inference Protocol, and who may do it."""

from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from inference.asking import FACES, faces, latents, raw, stub
from rhapsode.oip import inference_pb2 as oip
from support import bundles
from support.access import bearer, entry, write
from support.server import Running, load, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

DENIED, NOT_FOUND = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND
LOAD = "inference.GRPCInferenceService/RepositoryModelLoad"
UNLOAD = "inference.GRPCInferenceService/RepositoryModelUnload"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def living(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A server that loads what clients tell it to, if their access allows it."""
    folder: Path = tmp_path_factory.mktemp("models")
    for version in (1, 2, 3):
        bundles.autoencoder(version=version, seed=version).write(folder)
    bundles.grey_generator().write(folder)
    access = write(
        tmp_path_factory.mktemp("access") / "access.toml",
        entry("all", "all"),
        entry("service", "service", methods=["inference.GRPCInferenceService"]),
        entry("loader", "loader", methods=["*", LOAD, UNLOAD], models=["tiny-faces"]),
    )
    async with running(load(folder), access=access, models=str(folder), model_control="clients") as started:
        yield started


async def code(call: Awaitable[object]) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def version_of(server: Running, version: str) -> str:
    reply = await stub(server).ModelInfer(faces(model_version=version), metadata=bearer("all"))
    return reply.model_version


async def test_a_version_is_a_number_an_alias_or_what_the_bare_name_means(living: Running) -> None:
    told = await stub(living).ModelMetadata(oip.ModelMetadataRequest(name=FACES), metadata=bearer("all"))
    assert list(told.versions) == ["1", "2", "3"]
    living.server.control.set_alias("tiny-faces", "stable", 1)
    assert [await version_of(living, each) for each in ("", "2", "stable")] == ["3", "2", "1"]
    living.server.control.set_alias("tiny-faces", "default", 2)
    assert await version_of(living, "") == "2"
    living.server.control.set_alias("tiny-faces", "default", None)
    living.server.control.set_alias("tiny-faces", "stable", None)


async def test_who_is_not_named_for_it_loads_nothing(living: Running) -> None:
    for token in ("all", "service"):
        asked, unasked = oip.RepositoryModelLoadRequest(model_name=FACES), oip.RepositoryModelUnloadRequest()
        assert await code(stub(living).RepositoryModelLoad(asked, metadata=bearer(token))) is DENIED
        assert await code(stub(living).RepositoryModelUnload(unasked, metadata=bearer(token))) is DENIED


async def test_models_out_of_scope_can_be_neither_loaded_nor_unloaded(living: Running) -> None:
    for name in ("tiny-digits", "tiny-digits.decode", "nobody"):
        asked = oip.RepositoryModelLoadRequest(model_name=name)
        unasked = oip.RepositoryModelUnloadRequest(model_name=name)
        assert await code(stub(living).RepositoryModelLoad(asked, metadata=bearer("loader"))) is NOT_FOUND
        assert await code(stub(living).RepositoryModelUnload(unasked, metadata=bearer("loader"))) is NOT_FOUND
    digits = raw("tiny-digits.decode", {"latent": latents()})
    assert await code(stub(living).ModelInfer(digits, metadata=bearer("all"))) is grpc.StatusCode.OK


async def test_a_graph_that_a_bundle_has_not_loads_and_unloads_nothing(living: Running) -> None:
    before = await stub(living).RepositoryIndex(oip.RepositoryIndexRequest(), metadata=bearer("all"))
    load_it = oip.RepositoryModelLoadRequest(model_name="tiny-faces.critic")
    unload = oip.RepositoryModelUnloadRequest(model_name="tiny-faces.critic")
    for version in ("", "2"):
        if version:
            load_it.parameters["version"].string_param = unload.parameters["version"].string_param = version
        assert await code(stub(living).RepositoryModelLoad(load_it, metadata=bearer("loader"))) is NOT_FOUND
        assert await code(stub(living).RepositoryModelUnload(unload, metadata=bearer("loader"))) is NOT_FOUND
    assert before == await stub(living).RepositoryIndex(oip.RepositoryIndexRequest(), metadata=bearer("all"))


async def test_a_version_goes_and_comes(living: Running) -> None:
    client, headers = stub(living), bearer("loader")
    unload = oip.RepositoryModelUnloadRequest(model_name=FACES)
    unload.parameters["version"].string_param = "3"
    await client.RepositoryModelUnload(unload, metadata=headers)
    assert await version_of(living, "") == "2"
    index = (await client.RepositoryIndex(oip.RepositoryIndexRequest(), metadata=headers)).models
    assert ("tiny-faces", "3", "UNAVAILABLE", "unloaded") in [(i.name, i.version, i.state, i.reason) for i in index]
    ready = (await client.RepositoryIndex(oip.RepositoryIndexRequest(ready=True), metadata=headers)).models
    assert {each.version for each in ready} == {"1", "2"}
    load_it = oip.RepositoryModelLoadRequest(model_name="tiny-faces")
    load_it.parameters["version"].int64_param = 3
    await client.RepositoryModelLoad(load_it, metadata=headers)
    assert await version_of(living, "") == "3"


async def test_the_service_has_a_health(living: Running) -> None:
    asked = HealthCheckRequest(service="inference.GRPCInferenceService")
    method: Any = living.channel.unary_unary("/grpc.health.v1.Health/Check")
    reply = HealthCheckResponse.FromString(await method(asked.SerializeToString()))
    assert reply.status == HealthCheckResponse.SERVING
