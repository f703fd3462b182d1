"""Nothing of a request's content stands on the log, and nothing in it breaks a line."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode_server.observe.logs import open_log
from support.requests import generate_text, text
from support.server import Loaded, Running, running

CANARY = "canary-2f9c"
REQUESTS: tuple[tuple[str, Message], ...] = tuple(
    (f"/{service.full_name}/{method.name}", getattr(module, method.input_type.name)())
    for module in (text_pb2, image_pb2, model_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if method.input_type.fields
)
NASTY = (
    "a\nb",
    'x", "level": "critical',
    "\x1b[31mred\x1b[0m",
    "line\u2028paragraph\u2029next\x85",
    "bell\x07 nul\x00 del\x7f csi\x9b",
    "alone \ud800 and \udfff",
    "\\u0022} {",
    "é 漢 🎭",
    "n" * 100_000,
)


@pytest.fixture
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded, log_level="debug") as started:
        yield started


def fill(message: Message, path: tuple[str, ...] = ()) -> None:
    """Put the canary into every text and every bytes below a message; of alternatives, into the last."""
    for field in message.DESCRIPTOR.fields:
        if path.count(field.full_name):
            continue
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            inner = getattr(message, field.name)
            fill(inner.add() if field.is_repeated else inner, (*path, field.full_name))
        elif field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
            value: Any = CANARY if field.type == FieldDescriptor.TYPE_STRING else CANARY.encode()
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)


async def sent(server: Running, path: str, request: Message, stream: bool) -> None:
    channel: Any = server.channel
    make = channel.unary_stream if stream else channel.unary_unary
    call = make(path, request_serializer=lambda message: message.SerializeToString())(request)
    try:
        if stream:
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError:
        pass  # most are refused


@pytest.mark.parametrize(("path", "request_"), REQUESTS, ids=[path for path, _ in REQUESTS])
async def test_no_text_of_a_request_is_logged(server: Running, path: str, request_: Message) -> None:
    request = type(request_)()
    fill(request)
    assert CANARY.encode() in request.SerializeToString()
    await sent(server, path, request, stream=any(word in path for word in ("Stream", "Interpolate", "Edit", "Decode")))
    while not [line for line in server.log_lines() if line["msg"] == "rpc"]:
        await asyncio.sleep(0)
    assert CANARY not in server.log.getvalue()


async def test_no_prompt_of_a_request_that_is_served_is_logged(server: Running) -> None:
    prompt = "the quick brown fox, "
    stopping = text_pb2.Stopping(max_tokens=5, stop_sequences=["brown fox"])
    await generate_text(server, text(text=prompt, stopping=stopping))
    scored = text_pb2.ScoreTextRequest(model="tiny-text", inputs=[text_pb2.ScoreInput(text=prompt)])
    await server.text.ScoreText(scored)
    while len([line for line in server.log_lines() if line["msg"] == "rpc"]) < 2:
        await asyncio.sleep(0)
    assert "brown" not in server.log.getvalue()


async def test_an_rpc_has_one_line(server: Running) -> None:
    calls = [generate_text(server, text(3)) for _ in range(5)]
    await asyncio.gather(*calls)
    with pytest.raises(grpc.aio.AioRpcError):
        await generate_text(server, text(0))
    channel: Any = server.channel
    with pytest.raises(grpc.aio.AioRpcError):
        await channel.unary_unary("/made.Up/Name")(b"")
    while len(lines := [line for line in server.log_lines() if line["msg"] == "rpc"]) < 7:
        await asyncio.sleep(0)
    assert [line["grpc_code"] for line in lines] == ["OK"] * 5 + ["InvalidArgument", "Unimplemented"]
    assert len({line["request_id"] for line in lines}) == 7
    assert lines[5]["reason"] == "INVALID_FIELD"
    assert (lines[6]["grpc_method"], lines[0]["model_version"]) == ("_OTHER", 1)


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
def test_a_json_line_stays_one_line(nasty: str) -> None:
    file = io.BytesIO()
    stream = io.TextIOWrapper(file, "utf-8")  # as standard output is
    log = open_log("info", "json", "0", stream)
    log.info(nasty, model=nasty, other=[nasty])
    (line,) = file.getvalue().decode().splitlines()
    read = json.loads(line)
    assert (read["msg"], read["model"], read["other"], read["level"]) == (nasty, nasty, [nasty], "info")
    assert line.isascii()


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
def test_a_line_for_people_has_no_control_characters(nasty: str) -> None:
    file = io.BytesIO()
    log = open_log("info", "console", "0", io.TextIOWrapper(file, "utf-8"))
    log.info("rpc", model=nasty)
    (line,) = file.getvalue().decode().splitlines()
    assert line.isprintable()


def test_a_traceback_for_people_has_lines_and_no_control_characters() -> None:
    stream = io.StringIO()
    log = open_log("info", "console", "0", stream)
    log.error("failed", exc_info=ValueError("\x1b[2J\x07 gone"))
    assert len(stream.getvalue().splitlines()) > 1
    assert all(line.isprintable() for line in stream.getvalue().splitlines())


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('x","level":"critical', True),
        ("'\"\\{}[m", True),
        ("n" * 128, True),
        ("n" * 129, False),
        ("a b", False),
    ],
)
async def test_a_request_id_is_kept_where_it_is_one_short_word(server: Running, sent: str, kept: bool) -> None:
    call = server.model.ListModels(model_pb2.ListModelsRequest(), metadata=(("x-request-id", sent),))
    await call
    while not (lines := [line for line in server.log_lines() if line["msg"] == "rpc"]):
        await asyncio.sleep(0)
    logged = lines[0]["request_id"]
    assert (logged == sent) is kept
    assert logged == dict(await call.trailing_metadata())["x-request-id"]
