"""Nobody is answered by any method but health without a credential, nor beyond what the credential allows."""

import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor_pool import Default
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from rhapsode.v1.image_pb2 import GenerateImagesRequest, KeepBest
from rhapsode.v1.model_pb2 import GetModelRequest, ListModelsRequest, ListModelsResponse
from rhapsode.v1.text_pb2 import GenerateTextRequest
from rhapsode_server.rpc.methods import MODEL_CONTROL, NAMED_ALONE, SERVED
from support import bundles
from support.access import bearer, entry, write
from support.raw_calls import Headers, code_raw
from support.refusals import refusal
from support.requests import images, text
from support.server import Loaded, LogLine, Running, load, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNAUTHENTICATED, DENIED, OK = (
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.OK,
)
REFLECT = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
HEALTH = "/grpc.health.v1.Health/Check"
GENERATE = "/rhapsode.v1.TextService/GenerateText"
ALL, TEXTS, TINY, LISTER = "token-of-all", "token-of-texts", "token-of-tiny", "token-of-lister"
METHODS = [f"/{service}/{method}" for service, methods in sorted(SERVED.items()) for method in sorted(methods)]
GUARDED = [path for path in METHODS if "health" not in path]
INVALID: dict[str, Headers] = {
    "none": (),
    "unknown": bearer("token-of-al"),
    "expired": bearer("old-token"),
    "no token": (("authorization", "Bearer "),),
    "another scheme": (("authorization", f"Basic {ALL}"),),
    "no scheme": (("authorization", ALL),),
    "two": (*bearer(ALL), *bearer(ALL)),
    "long": bearer("x" * 2000),
    "elsewhere": (("x-api-key", ALL),),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("models")
    bundles.stepper().write(folder)
    bundles.stepper("secret-text").write(folder)
    bundles.grey_generator().write(folder)
    bundles.judge("secret-critic").write(folder)
    return load(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(models: Loaded, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    access = write(
        tmp_path_factory.mktemp("access") / "access.toml",
        entry("all", ALL, "another-token-of-all", expired=["old-token"]),
        entry("texts", TEXTS, methods=["rhapsode.v1.TextService"]),
        entry("tiny", TINY, models=["tiny-text", "tiny-digits"]),
        entry("lister", LISTER, methods=["rhapsode.v1.ModelService/ListModels"], models=[]),
    )
    async with running(models, access=access) as started:
        yield started


def watching(server: Running, service: str, headers: Headers = ()) -> Any:
    """A call of Health/Watch."""
    method: Any = server.channel.unary_stream(
        "/grpc.health.v1.Health/Watch", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
    )
    return method(HealthCheckRequest(service=service), metadata=tuple(headers))


async def services_listed(server: Running) -> Iterable[str]:
    ask = server.channel.stream_stream(
        REFLECT, ServerReflectionRequest.SerializeToString, ServerReflectionResponse.FromString
    )
    (answer,) = [each async for each in ask(iter([ServerReflectionRequest(list_services="")]), metadata=bearer(ALL))]
    return [service.name for service in answer.list_services_response.service]


async def test_every_method_of_what_is_served_is_known(server: Running) -> None:
    described = {}
    for name in await services_listed(server):
        alpha = name.replace("reflection.v1.", "reflection.v1alpha.")  # the same messages, of which one is compiled
        described[name] = {method.name for method in Default().FindServiceByName(alpha).methods}
    described["rhapsode.v1.ModelService"] -= MODEL_CONTROL  # which are served at the admin address
    assert described == SERVED
    assert {
        f"/{name}/{method}" for name in described for method in described[name]
    } == server.server._guard._rpcs.keys()


@pytest.mark.parametrize("path", GUARDED)
async def test_no_method_but_health_answers_without_a_credential(server: Running, path: str) -> None:
    for headers in INVALID.values():
        assert await code_raw(server.channel, path, headers, b"") is UNAUTHENTICATED
    for token in (ALL, "another-token-of-all"):
        code = await code_raw(server.channel, path, bearer(token), b"")
        assert code is not UNAUTHENTICATED
        assert (code is DENIED) == (path[1:] in NAMED_ALONE)


@pytest.mark.parametrize("headers", [*INVALID.values(), bearer(ALL), bearer(LISTER)], ids=[*INVALID, "all", "lister"])
async def test_health_answers_everybody(server: Running, headers: Headers) -> None:
    assert await code_raw(server.channel, HEALTH, headers, b"") is OK
    watch = watching(server, "readiness", headers)
    assert (await watch.read()).status == HealthCheckResponse.SERVING
    watch.cancel()


@pytest.mark.parametrize("path", GUARDED)
async def test_a_client_may_call_what_its_scope_names(server: Running, path: str) -> None:
    as_texts = await code_raw(server.channel, path, bearer(TEXTS), b"")
    assert (as_texts is DENIED) != path.startswith("/rhapsode.v1.TextService/")
    as_lister = await code_raw(server.channel, path, bearer(LISTER), b"")
    assert (as_lister is DENIED) != (path == "/rhapsode.v1.ModelService/ListModels")


@pytest.mark.parametrize("path", [*GUARDED, "/rhapsode.v1.TextService/Nothing", "/nothing/Nothing", "/x", "/"])
async def test_a_stranger_is_refused_before_anything_of_a_request_has_come(server: Running, path: str) -> None:
    assert await code_raw(server.channel, path) is UNAUTHENTICATED


async def test_a_stranger_is_not_told_that_its_request_is_nonsense(server: Running) -> None:
    assert await code_raw(server.channel, GENERATE, (), b"\xff" * 1000) is UNAUTHENTICATED
    assert await code_raw(server.channel, GENERATE, bearer(LISTER), b"\xff" * 1000) is DENIED
    assert await code_raw(server.channel, GENERATE, bearer(ALL), b"\xff" * 1000) is grpc.StatusCode.INVALID_ARGUMENT


async def test_who_may_call_everything_is_told_of_methods_that_there_are_not(server: Running) -> None:
    for path in ("/rhapsode.v1.TextService/Nothing", "/nothing/Nothing", "/"):
        assert await code_raw(server.channel, path, bearer(ALL), b"") is grpc.StatusCode.UNIMPLEMENTED
        assert await code_raw(server.channel, path, bearer(LISTER), b"") is DENIED


async def refused(server: Running, path: str, request: bytes, token: str) -> object:
    """All that a client can read of a refusal."""
    method: Any = server.channel.unary_unary(path)
    call = method(request, metadata=(*bearer(token), ("x-request-id", "one")))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details(), caught.value.trailing_metadata()


def asking(model: str) -> Iterable[tuple[str, bytes]]:
    """Every way to name a model."""
    yield "/rhapsode.v1.ModelService/GetModel", GetModelRequest(model=model).SerializeToString()
    yield GENERATE, GenerateTextRequest(generation=text(model=model)).SerializeToString()
    judged = images(1, model="tiny-digits", keep_best=KeepBest(drawn=2, critic=model))
    yield "/rhapsode.v1.ImageService/GenerateImages", GenerateImagesRequest(generation=judged).SerializeToString()
    yield HEALTH, HealthCheckRequest(service=model).SerializeToString()


@pytest.mark.parametrize("hidden", ["secret-text", "secret-text@1", "secret-critic"])
async def test_a_model_out_of_scope_is_like_one_that_there_is_not(server: Running, hidden: str) -> None:
    for (path, ours), (_, nobodys) in zip(asking(hidden), asking("nobody-text"), strict=True):
        told = await refused(server, path, ours, TINY)
        assert told == await refused(server, path, nobodys, TINY)
        assert isinstance(told, tuple)
        assert told[0] is grpc.StatusCode.NOT_FOUND


async def test_only_models_in_scope_are_listed(server: Running) -> None:
    async def listed(token: str) -> list[str]:
        reply: ListModelsResponse = await server.model.ListModels(ListModelsRequest(), metadata=bearer(token))
        return [model.name for model in reply.models]

    assert await listed(TINY) == ["tiny-digits", "tiny-text"]
    assert await listed(LISTER) == []
    assert await listed(ALL) == ["secret-critic", "secret-text", "tiny-digits", "tiny-text"]


async def test_a_models_health_is_for_those_who_may_use_it(server: Running) -> None:
    asked = HealthCheckRequest(service="secret-text").SerializeToString()
    assert await code_raw(server.channel, HEALTH, (), asked) is grpc.StatusCode.NOT_FOUND
    assert await code_raw(server.channel, HEALTH, bearer(ALL), asked) is OK
    watch = watching(server, "secret-text")
    assert (await watch.read()).status == HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


async def test_a_refusal_says_what_is_needed_and_not_what_was_wrong(server: Running) -> None:
    messages = set()
    for headers in INVALID.values():
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.model.ListModels(ListModelsRequest(), metadata=headers)
        assert refusal(caught.value).info.reason == "UNAUTHENTICATED"
        messages.add(caught.value.details())
    assert len(messages) == 1


async def test_the_log_names_clients_and_no_tokens(server: Running) -> None:
    await server.model.ListModels(ListModelsRequest(), metadata=(*bearer(TINY), ("x-request-id", "logged")))
    await code_raw(server.channel, GENERATE, (*bearer("old-token"), ("x-request-id", "expired")), b"")
    await code_raw(server.channel, GENERATE, (*bearer(LISTER), ("x-request-id", "denied")), b"")
    lines: dict[object, LogLine] = {}
    while not {"logged", "expired", "denied"} <= lines.keys():
        await code_raw(server.channel, HEALTH, (), b"")
        lines = {line.get("request_id"): line for line in server.log_lines()}
    assert (lines["logged"]["client"], lines["logged"]["grpc_code"]) == ("tiny", "OK")
    assert (lines["expired"]["credential"], lines["expired"]["client"]) == ("expired", "all")
    assert (lines["expired"]["grpc_code"], lines["expired"]["reason"]) == ("Unauthenticated", "UNAUTHENTICATED")
    assert (lines["denied"]["client"], lines["denied"]["grpc_code"]) == ("lister", "PermissionDenied")
    assert not [
        line for line in server.log_lines() if "token-of" in json.dumps(line) or "old-token" in json.dumps(line)
    ]


async def test_refusals_are_counted(server: Running) -> None:
    await code_raw(server.channel, "/made-up/Method", (), b"")
    await code_raw(server.channel, GENERATE, bearer(LISTER), b"")
    page = await server.page()
    for reason in ("unauthenticated", "permission_denied"):
        assert f'rhapsode_requests_rejected_total{{model="_unknown",reason="{reason}"}}' in page
    assert 'grpc_code="Unauthenticated",grpc_method="_OTHER"' in page
    assert "made-up" not in page


async def test_what_is_of_no_use_in_the_file_is_told(models: Loaded, tmp_path: Path) -> None:
    access = write(tmp_path / "access.toml", entry("one", "a", expired=["b"], models=["tiny-text", "gone"]))
    async with running(models, access=access, address="0.0.0.0:0") as server:
        told = [line["reason"] for line in server.log_lines() if line["msg"] == "access"]
    assert told == [
        "one may use the model gone, which is not served",
        "a token of one has expired on 2001-01-01T00:00:00+00:00",
        "tokens come to --address in plain text: set --tls-certificate, unless a proxy before it speaks TLS",
    ]


async def test_a_socket_and_this_machine_are_no_network(models: Loaded, tmp_path: Path) -> None:
    access = write(tmp_path / "access.toml", entry("one", "a"))
    async with running(models, access=access) as local, running(models, access=access, address="[::1]:0") as here:
        assert [line for line in (*local.log_lines(), *here.log_lines()) if line["msg"] == "access"] == []
