"""Requests for far too much are refused before anything is made for them: no memory, and hardly any time."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest

from rhapsode.v1 import image_pb2, text_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from support import bundles
from support.refusals import refusal
from support.requests import images, text
from support.server import Process, process

ROUNDS = 100
GROWTH = 2 << 20  # bytes of noise that memory may have; one of these requests served would take more than that
MOST = 2**32 - 1
TEXTS = (
    text(MOST),
    text(10**9),
    text(0),
    text(candidate_count=MOST),
    text(9, candidate_count=64, logprobs=2**31),
    text(8192, candidate_count=64, logprobs=20),  # 64 × 8192 tokens are each legal, and too much for one reply
)
PICTURES = (images(count=MOST), images(count=10**9), images(count=100_001), images(count=0), images(count=100_000))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    models: Path = tmp_path_factory.mktemp("models")
    bundles.stepper().write(models)
    bundles.autoencoder().write(models)
    with process(models) as started:
        yield started


def refuse_all(channel: grpc.Channel) -> None:
    """Ask for far too much of everything."""
    for asked in TEXTS:
        with pytest.raises(grpc.RpcError) as caught:
            TextServiceStub(channel).GenerateText(text_pb2.GenerateTextRequest(generation=asked))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    for pictures in PICTURES:
        with pytest.raises(grpc.RpcError) as caught:
            ImageServiceStub(channel).GenerateImages(image_pb2.GenerateImagesRequest(generation=pictures))
        assert refusal(caught.value).fields == ["generation.count"]


def test_a1_refused_giants_leave_the_memory_as_it_was(server: Process) -> None:
    memory = psutil.Process(server.process.pid).memory_info
    with grpc.insecure_channel(server.address) as channel:
        for _ in range(ROUNDS // 2):  # what first requests cost is not counted
            refuse_all(channel)
        before = memory().rss
        for _ in range(ROUNDS):
            refuse_all(channel)
        assert memory().rss - before < GROWTH


@pytest.mark.parametrize("form", [image_pb2.IMAGE_FORMAT_RAW_FLOAT32, image_pb2.IMAGE_FORMAT_PNG])
def test_a2_what_just_fits_a_reply_is_made_and_one_more_is_refused(
    server: Process, form: image_pb2.ImageFormat.ValueType
) -> None:
    options = [("grpc.max_receive_message_length", 4 << 20)]  # what the server must not exceed
    with grpc.insecure_channel(server.address, options) as channel:
        stub = ImageServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.GenerateImages(image_pb2.GenerateImagesRequest(generation=images(count=100_000, format=form)))
        said = refusal(caught.value)
        most = int(said.info.metadata["max"])
        made = stub.GenerateImages(image_pb2.GenerateImagesRequest(generation=images(count=most, format=form)))
        assert len(made.images) == most
        with pytest.raises(grpc.RpcError) as caught:
            stub.GenerateImages(image_pb2.GenerateImagesRequest(generation=images(count=most + 1, format=form)))
        assert (refusal(caught.value).info.reason, said.fields) == ("OUTPUT_TOO_LARGE", ["generation.count"])
        sizes = [
            message.ByteSize()
            for message in stub.StreamImages(image_pb2.StreamImagesRequest(generation=images(count=most, format=form)))
        ]
        assert max(sizes) <= 1 << 20  # B3: far from the 4 MiB that clients expect at the most
