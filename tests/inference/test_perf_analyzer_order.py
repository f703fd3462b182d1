"""What perf_analyzer 2.60 asks, call for call, with clients made of our own protos: unary, and on a stream."""

from typing import Any

import numpy as np
import pytest

from inference.asking import FACES, arrays, latents, raw, stub, typed
from rhapsode.oip import inference_pb2 as oip
from rhapsode.v1.image_pb2 import IMAGE_FORMAT_RAW_FLOAT32, Latent, Latents
from support.requests import generate_images, images
from support.server import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

DATATYPES = {oip.TYPE_FP32: "FP32", oip.TYPE_INT64: "INT64"}
FIELDS = ("success", "queue", "compute_input", "compute_infer", "compute_output")


async def prepared(server: Running) -> oip.ModelInferRequest:
    """What it makes of the model's metadata and configuration: a request of one row."""
    client = stub(server)
    metadata = await client.ModelMetadata(oip.ModelMetadataRequest(name=FACES, version=""))
    config = (await client.ModelConfig(oip.ModelConfigRequest(name=FACES, version=""))).config
    assert config.max_batch_size > 0
    assert not config.model_transaction_policy.decoupled
    assert {each.name: list(each.shape) for each in metadata.inputs} == {
        each.name: [-1, *each.dims] for each in config.input
    }
    assert {each.name: each.datatype for each in metadata.inputs} == {
        each.name: DATATYPES[each.data_type] for each in config.input
    }
    server_metadata = await client.ServerMetadata(oip.ServerMetadataRequest())
    assert "statistics" in server_metadata.extensions
    request = oip.ModelInferRequest(model_name=FACES)
    for tensor in metadata.inputs:
        shape = [1, *tensor.shape[1:]]
        request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=shape)
        request.raw_input_contents.append(np.zeros(shape, np.float32).tobytes())
    request.outputs.extend(
        oip.ModelInferRequest.InferRequestedOutputTensor(name=each.name) for each in metadata.outputs
    )
    return request


async def statistics(server: Running) -> oip.ModelStatistics:
    reply = await stub(server).ModelStatistics(oip.ModelStatisticsRequest(name=FACES, version=""))
    (told,) = reply.model_stats
    assert (told.name, told.version) == (FACES, "1")
    return told


def check_counts(before: oip.ModelStatistics, after: oip.ModelStatistics, count: int) -> None:
    for field in FIELDS:
        earlier, later = getattr(before.inference_stats, field), getattr(after.inference_stats, field)
        assert later.count - earlier.count == count
        assert later.ns > earlier.ns or field == "queue"
    assert after.inference_count - before.inference_count == count
    assert 1 <= after.execution_count - before.execution_count <= count


async def test_the_order_of_unary_calls(server: Running) -> None:
    request = await prepared(server)
    before = await statistics(server)
    for number in range(10):
        request.id = str(number)
        reply = await stub(server).ModelInfer(request)
        assert reply.id == request.id
        assert arrays(reply)["image"].shape == (1, 3, 8, 8)
    check_counts(before, await statistics(server), 10)


async def test_the_order_of_calls_with_a_stream(server: Running) -> None:
    request = await prepared(server)
    before = await statistics(server)
    call: Any = stub(server).ModelStreamInfer(timeout=60)
    for number in range(10):
        request.id = str(number)
        request.parameters["triton_enable_empty_final_response"].bool_param = True
        await call.write(request)
    ids = [(await call.read()).infer_response.id for _ in range(10)]
    assert sorted(ids) == sorted(map(str, range(10)))
    check_counts(before, await statistics(server), 10)
    await call.done_writing()


async def test_what_it_sends_is_answered_as_what_others_send(server: Running) -> None:
    given = {"latent": latents(1, 5)}
    image = arrays(await stub(server).ModelInfer(raw(FACES, given)))["image"]
    assert np.array_equal(image, arrays(await stub(server).ModelInfer(typed(FACES, given)))["image"])
    latent = Latents(latents=[Latent(values=given["latent"][0])])
    asked = images(None, model="tiny-faces", latents=latent, format=IMAGE_FORMAT_RAW_FLOAT32)
    (picture,) = (await generate_images(server, asked)).images
    assert image[0].transpose(1, 2, 0).tobytes() == picture.data
