"""Models that come and go under the client: what is loading is waited for, and what a stream began on it ends on."""

import time
from pathlib import Path

import grpc
import pytest

from client.details import trailing
from client.scripted import Break, Script, serving, whole
from rhapsode.v1 import image_pb2, text_pb2
from rhapsode_client import (
    AsyncClient,
    ChannelSettings,
    Client,
    ModelLoading,
    ModelNotFound,
    ResumeMismatch,
    RetryPolicy,
)

WAIT = 0.05  # seconds that the server asks for
LOADING = Break(0, metadata=(*trailing("MODEL_LOADING", delay=WAIT), ("grpc-retry-pushback-ms", str(int(WAIT * 1000)))))
GONE = Break(0, grpc.StatusCode.NOT_FOUND, metadata=tuple(trailing("MODEL_NOT_FOUND")))


def asked_for(script: Script) -> list[str]:
    """The model of each request that came."""
    named = [
        request.generation
        if isinstance(request, text_pb2.StreamTextRequest | image_pb2.StreamImagesRequest)
        else request
        for request in script.requests
    ]
    return [str(getattr(each, "model", "")) for each in named]


def test_what_is_loading_is_asked_for_again_when_the_server_says(socket: Path, eager: ChannelSettings) -> None:
    unary, stream = Script([LOADING] * 3), Script([LOADING] * 3)
    for script in (unary, stream):
        began = time.monotonic()
        with serving(script, socket) as address, Client(address, eager) as client:
            if script is unary:
                assert client.generate_text("m", seed=3, max_tokens=5).text == whole(3, 5)
            else:
                assert "".join(chunk.text for chunk in client.stream_text("m", seed=3, max_tokens=5)) == whole(3, 5)
        assert len(script.requests) == 4
        assert time.monotonic() - began >= 3 * WAIT  # not at once, as these settings have it otherwise


async def test_the_asynchronous_client_waits_too(socket: Path, eager: ChannelSettings) -> None:
    script = Script([LOADING, LOADING])
    with serving(script, socket) as address:
        async with AsyncClient(address, eager) as client:
            assert (await client.generate_text("m", seed=3, max_tokens=5)).text == whole(3, 5)
    assert len(script.requests) == 3


def test_what_is_loading_for_too_long_is_said(socket: Path) -> None:
    once = ChannelSettings(retry=RetryPolicy(attempts=1))
    with serving(Script([LOADING] * 2), socket) as address, Client(address, once) as client:
        with pytest.raises(ModelLoading) as unary:
            client.generate_text("m")
        with pytest.raises(ModelLoading) as stream:
            list(client.stream_text("m"))
    assert (unary.value.retryable, unary.value.retry_delay) == (True, WAIT)
    assert (stream.value.retryable, stream.value.retry_delay) == (True, WAIT)


@pytest.mark.parametrize("model", ["m", "m@stable", "m@1"])
def test_a_stream_goes_on_with_the_version_that_it_began_on(socket: Path, eager: ChannelSettings, model: str) -> None:
    texts, pictures, walk = Script([Break(3)]), Script([Break(2), Break(0)]), Script([Break(2)])
    for script in (texts, pictures, walk):
        with serving(script, socket) as address, Client(address, eager) as client:
            if script is texts:
                list(client.stream_text(model, seed=5, max_tokens=9))
            elif script is pictures:
                list(client.stream_images(model, seed=5, count=4))
            else:
                list(client.interpolate(model, [1, 2], frames_per_segment=3))
    assert asked_for(texts) == [model, "m@1"]
    assert asked_for(pictures) == [model, "m@1", "m@1"]
    assert asked_for(walk) == [model, "m@1"]


def test_until_something_has_come_an_alias_may_move(socket: Path, eager: ChannelSettings) -> None:
    script = Script([Break(1)])  # it had said what it started, and no token of it
    with serving(script, socket) as address, Client(address, eager) as client:
        list(client.stream_text("m@stable", max_tokens=4))
    assert asked_for(script) == ["m@stable", "m@stable"]


def test_a_version_that_is_gone_is_said(socket: Path, eager: ChannelSettings) -> None:
    script = Script([Break(3), GONE, GONE])
    with serving(script, socket) as address, Client(address, eager) as client:
        stream = client.stream_text("m@stable", seed=5, max_tokens=9)
        with pytest.raises(ResumeMismatch, match="m@1, which it began on, is not served any more") as caught:
            list(stream)
        with pytest.raises(ModelNotFound):
            list(client.stream_text("m@stable"))
    assert (caught.value.reason, caught.value.retryable) == ("MODEL_NOT_FOUND", False)


def test_a_version_that_is_loading_again_is_waited_for(socket: Path, eager: ChannelSettings) -> None:
    script = Script([Break(3), LOADING])
    with serving(script, socket) as address, Client(address, eager) as client:
        assert "".join(chunk.text for chunk in client.stream_text("m", seed=5, max_tokens=9)) == whole(5, 9)
