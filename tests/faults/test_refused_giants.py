"""Requests for far too much are refused before anything is made for them: no memory, and hardly any time."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest
from benchmarks.fuzz.giants import refuse_all

from rhapsode.v1 import image_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from support import bundles
from support.refusals import refusal
from support.requests import images
from support.server import Process, process

ROUNDS = 100
GROWTH = 8 << 20  # bytes of noise that memory may have; a reply of 100,000 pictures would be ten times that


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    models: Path = tmp_path_factory.mktemp("models")
    bundles.stepper().write(models)
    bundles.autoencoder().write(models)
    with process(models) as started:
        yield started


def test_a1_refused_giants_leave_the_memory_as_it_was(server: Process) -> None:
    memory = psutil.Process(server.process.pid).memory_info
    with grpc.insecure_channel(server.address) as channel:
        for _ in range(ROUNDS // 2):  # what first requests cost is not counted
            refused = list(refuse_all(channel, "tiny-text", "tiny-faces"))
        assert {error.code() for error in refused} == {grpc.StatusCode.INVALID_ARGUMENT}
        before = memory().rss
        for _ in range(ROUNDS):
            list(refuse_all(channel, "tiny-text", "tiny-faces"))
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
