"""Requests of the Open Inference Protocol that are refused: each with its status and the field that is at fault."""

from collections.abc import Awaitable, Callable

import grpc
import numpy as np
import pytest

from inference.asking import FACES, SHAPES, Tensor, arrays, faces, latents, raw, stub, typed
from rhapsode.oip import inference_pb2 as oip
from support.refusals import refusal
from support.server import Loaded, Running, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
Request = oip.ModelInferRequest
MANY = {str(number): oip.InferParameter() for number in range(5000)}
NO_NAMES = {
    "empty": "",
    "traversal": "../../etc/passwd",
    "hidden traversal": "tiny-faces/../x.decode",
    "absolute": "/etc/passwd.decode",
    "dots": "..",
    "nul": "tiny-faces\x00.decode",
    "newline": "tiny-faces.decode\n",
    "escape": "\x1b[2J.decode",
    "backslash": "..\\x.decode",
    "upper case": "Tiny-Faces.decode",
    "full width": "ｔiny-faces.decode",
    "2**20 characters": "a" * 2**20,
}
NO_VERSIONS = ("0", "01", "-1", "1.0", "../1", "1\n", "1\x00", "9" * 30, "A", "a" * 2**20)


def shapes(**fields: object) -> Request:
    """A request with two inputs."""
    return raw(SHAPES, {"latent": latents(2), "class_id": np.array([0, 1], np.int64)}, **fields)


def changed(request: Request, change: Callable[[Request], object]) -> Request:
    change(request)
    return request


def shape(*axes: int) -> Callable[[Request], object]:
    return lambda request: request.inputs[0].shape.__setitem__(slice(None), axes)


def data(place: int, content: bytes) -> Callable[[Request], object]:
    return lambda request: request.raw_input_contents.__setitem__(place, content)


def both(request: Request) -> None:
    request.inputs[0].contents.fp32_contents.extend([0.0] * 8)


def shared(request: Request) -> None:
    request.inputs[0].parameters["shared_memory_region"].string_param = "region"


def shared_output(request: Request) -> None:
    request.outputs.add(name="image").parameters["shared_memory_region"].string_param = "region"


def classes(request: Request) -> None:
    request.outputs.add(name="image").parameters["classification"].int64_param = 3


def parameter(name: str, **value: object) -> Callable[[Request], object]:
    return lambda request: request.parameters[name].CopyFrom(oip.InferParameter(**value))  # type: ignore[arg-type]


def contents(**fields: object) -> Request:
    """One row, typed."""
    made = oip.InferTensorContents(**fields)  # type: ignore[arg-type]
    tensor = Request.InferInputTensor(name="latent", datatype="FP32", shape=[1, 8], contents=made)
    return Request(model_name=FACES, inputs=[tensor])


def numbers(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


INF = numbers(*[0.0] * 7, np.inf).reshape(1, 8)
NAN = numbers(*[0.0] * 7, np.nan).reshape(1, 8)
BAD: dict[str, tuple[Request, str]] = {
    "wrong dtype": (
        changed(faces(), lambda request: setattr(request.inputs[0], "datatype", "FP64")),
        "inputs[0].datatype",
    ),
    "no dtype": (changed(faces(), lambda request: setattr(request.inputs[0], "datatype", "")), "inputs[0].datatype"),
    "BYTES": (changed(faces(), lambda request: setattr(request.inputs[0], "datatype", "BYTES")), "inputs[0].datatype"),
    "BF16": (changed(faces(), lambda request: setattr(request.inputs[0], "datatype", "BF16")), "inputs[0].datatype"),
    "wrong width": (changed(faces(), shape(1, 9)), "inputs[0].shape"),
    "too few axes": (changed(faces(), shape(8)), "inputs[0].shape"),
    "too many axes": (changed(faces(), shape(1, 1, 8)), "inputs[0].shape"),
    "no axes": (changed(faces(), shape()), "inputs[0].shape"),
    "as many axes as fit": (changed(faces(), shape(*[1] * 2**18)), "inputs[0].shape"),
    "no rows": (changed(faces(), shape(0, 8)), "inputs[0].shape"),
    "negative rows": (changed(faces(), shape(-1, 8)), "inputs[0].shape"),
    "too many rows": (faces(17), "inputs[0].shape"),
    "2**62 rows": (changed(faces(), shape(2**62, 8)), "inputs[0].shape"),
    "rows that disagree": (
        raw(SHAPES, {"latent": latents(2), "class_id": np.array([0], np.int64)}),
        "inputs[1].shape",
    ),
    "missing input": (raw(SHAPES, {"latent": latents()}), "inputs"),
    "no input": (Request(model_name=FACES), "inputs"),
    "surplus input": (raw(FACES, {"latent": latents(), "image": latents()}), "inputs"),
    "another's input": (raw(FACES, {"image": latents()}), "inputs[0].name"),
    "an input twice": (
        changed(shapes(), lambda request: request.inputs[1].CopyFrom(request.inputs[0])),
        "inputs[1].name",
    ),
    "few bytes": (changed(faces(), data(0, b"\0" * 31)), "raw_input_contents[0]"),
    "many bytes": (changed(faces(), data(0, b"\0" * 64)), "raw_input_contents[0]"),
    "no bytes": (changed(faces(), data(0, b"")), "raw_input_contents[0]"),
    "bytes of the second": (changed(shapes(), data(1, b"\0" * 8)), "raw_input_contents[1]"),
    "bytes for one input of two": (
        changed(shapes(), lambda request: request.raw_input_contents.pop()),
        "raw_input_contents",
    ),
    "bytes for none": (changed(faces(), lambda request: request.raw_input_contents.append(b"")), "raw_input_contents"),
    "both contents": (changed(faces(), both), "inputs[0].contents"),
    "no contents": (
        changed(faces(), lambda request: request.ClearField("raw_input_contents")),
        "inputs[0].contents.fp32_contents",
    ),
    "few numbers": (contents(fp32_contents=[0.0] * 7), "inputs[0].contents.fp32_contents"),
    "many numbers": (contents(fp32_contents=[0.0] * 9), "inputs[0].contents.fp32_contents"),
    "numbers in the wrong field": (contents(fp64_contents=[0.0] * 8), "inputs[0].contents.fp64_contents"),
    "numbers in two fields": (
        contents(fp32_contents=[0.0] * 8, int_contents=[1]),
        "inputs[0].contents.int_contents",
    ),
    "texts": (contents(bytes_contents=[b"one"]), "inputs[0].contents.bytes_contents"),
    "infinity": (raw(FACES, {"latent": INF}), "raw_input_contents[0]"),
    "no number": (raw(FACES, {"latent": NAN}), "raw_input_contents[0]"),
    "typed infinity": (typed(FACES, {"latent": INF}), "inputs[0].contents"),
    "a latent too far out": (raw(FACES, {"latent": latents() - 1e30}), "raw_input_contents[0]"),
    "a typed latent too far out": (typed(FACES, {"latent": latents() + 1001}), "inputs[0].contents"),
    "a picture too bright": (
        raw("tiny-faces.encode", {"image": np.full((1, 3, 8, 8), 3.01, np.float32)}),
        "raw_input_contents[0]",
    ),
    "a class too high": (
        raw(SHAPES, {"latent": latents(), "class_id": np.array([3], np.int64)}),
        "raw_input_contents[1]",
    ),
    "a class below zero": (
        typed(SHAPES, {"latent": latents(), "class_id": np.array([-1], np.int64)}),
        "inputs[1].contents",
    ),
    "unknown output": (changed(faces(), lambda request: request.outputs.add(name="else")), "outputs[0].name"),
    "an output twice": (
        raw("tiny-faces.encode", {"image": np.zeros((1, 3, 8, 8), np.float32)}, outputs=[{"name": "mean"}] * 2),
        "outputs[1].name",
    ),
    "too many outputs": (faces(outputs=[{"name": "image"}] * 1000), "outputs"),
    "shared memory": (changed(faces(), shared), "inputs[0].parameters.shared_memory_region"),
    "shared memory for an output": (changed(faces(), shared_output), "outputs[0].parameters.shared_memory_region"),
    "classification": (changed(faces(), classes), "outputs[0].parameters.classification"),
    "a timeout in words": (changed(faces(), parameter("timeout", string_param="1")), "parameters.timeout"),
    "a timeout below zero": (changed(faces(), parameter("timeout", int64_param=-1)), "parameters.timeout"),
    "an empty final response in words": (
        changed(faces(), parameter("triton_enable_empty_final_response", string_param="true")),
        "parameters.triton_enable_empty_final_response",
    ),
    "very many inputs": (Request(model_name=FACES, inputs=[Tensor()] * 5000), "inputs"),
    "very many parameters": (faces(parameters=MANY), "parameters"),
    "very many parameters of inputs": (
        changed(faces(), lambda request: request.inputs[0].MergeFrom(Tensor(parameters=MANY))),
        "inputs[0].parameters",
    ),
    "very many bytes": (
        changed(faces(), lambda request: request.raw_input_contents.extend([b""] * 5000)),
        "raw_input_contents",
    ),
    "a long id": (faces(id="i" * 1025), "id"),
}


async def refused(call: Awaitable[object]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize(("request_", "field"), BAD.values(), ids=BAD)
async def test_a_bad_request_is_told_which_field_is_at_fault(server: Running, request_: Request, field: str) -> None:
    error = await refused(stub(server).ModelInfer(request_))
    assert (error.code(), refusal(error).fields) == (INVALID, [field])


async def test_of_very_many_parts_nothing_is_kept_until_the_model_is_there(server: Running) -> None:
    error = await refused(stub(server).ModelInfer(Request(model_name="no/name", inputs=[Tensor()] * 5000)))
    assert refusal(error).fields == ["inputs"], "it was looked at before the name of its model was"


async def test_what_is_refused_leaves_the_model_as_it_is(server: Running) -> None:
    assert arrays(await stub(server).ModelInfer(faces()))["image"].shape == (1, 3, 8, 8)


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES)
async def test_what_is_no_name_is_refused_and_not_echoed(server: Running, name: str) -> None:
    client = stub(server)
    calls: dict[str, list[Awaitable[object]]] = {
        "model_name": [
            client.ModelInfer(Request(model_name=name)),
            client.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name=name)),
            client.RepositoryModelUnload(oip.RepositoryModelUnloadRequest(model_name=name)),
        ],
        "name": [
            client.ModelMetadata(oip.ModelMetadataRequest(name=name)),
            client.ModelConfig(oip.ModelConfigRequest(name=name)),
            *([client.ModelStatistics(oip.ModelStatisticsRequest(name=name))] if name else []),
        ],
    }
    for field, named in calls.items():
        for call in named:
            error = await refused(call)
            assert (error.code(), refusal(error).fields) == (INVALID, [field])
            assert not name or name not in str(error.details())
    assert not (await client.ModelReady(oip.ModelReadyRequest(name=name))).ready


@pytest.mark.parametrize("version", NO_VERSIONS, ids=range(len(NO_VERSIONS)))
async def test_what_is_no_version_is_refused(server: Running, version: str) -> None:
    asked = await refused(stub(server).ModelInfer(faces(model_version=version)))
    assert (asked.code(), refusal(asked).fields) == (INVALID, ["model_version"])
    named = await refused(stub(server).ModelMetadata(oip.ModelMetadataRequest(name=FACES, version=version)))
    assert (named.code(), refusal(named).fields) == (INVALID, ["version"])
    assert not (await stub(server).ModelReady(oip.ModelReadyRequest(name=FACES, version=version))).ready


@pytest.mark.parametrize(
    ("name", "version"),
    [("nobody.decode", ""), ("tiny-faces", ""), ("tiny-faces.step", ""), (FACES, "7"), (FACES, "stable")],
)
async def test_a_model_that_there_is_not_is_not_found(server: Running, name: str, version: str) -> None:
    client = stub(server)
    for call in (
        client.ModelInfer(faces(model_version=version) if name == FACES else raw(name, {})),
        client.ModelMetadata(oip.ModelMetadataRequest(name=name, version=version)),
        client.ModelConfig(oip.ModelConfigRequest(name=name, version=version)),
        client.ModelStatistics(oip.ModelStatisticsRequest(name=name, version=version)),
    ):
        assert (await refused(call)).code() is NOT_FOUND


async def test_a_repository_and_a_version_of_all_are_refused(server: Running) -> None:
    listed = await refused(stub(server).RepositoryIndex(oip.RepositoryIndexRequest(repository_name="x")))
    assert (listed.code(), refusal(listed).fields) == (INVALID, ["repository_name"])
    counted = await refused(stub(server).ModelStatistics(oip.ModelStatisticsRequest(version="1")))
    assert (counted.code(), refusal(counted).fields) == (INVALID, ["version"])


async def test_a_reply_that_would_outgrow_a_message_is_refused_before_it_is_made(graphs: Loaded) -> None:
    async with running(graphs, message_bytes=65_536, max_batch=128) as small:
        assert (await stub(small).ModelInfer(faces(84))).outputs
        error = await refused(stub(small).ModelInfer(faces(85)))
        assert (error.code(), refusal(error).info.reason) == (INVALID, "OUTPUT_TOO_LARGE")
        told = await stub(small).ModelStatistics(oip.ModelStatisticsRequest(name=FACES))
        assert told.model_stats[0].inference_stats.fail.count == 1


async def test_a_request_that_has_no_time_is_ended(server: Running) -> None:
    error = await refused(stub(server).ModelInfer(changed(faces(), parameter("timeout", int64_param=1))))
    assert error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)


async def test_nothing_is_loaded_by_clients(server: Running) -> None:
    client = stub(server)
    for call in (
        client.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name="tiny-faces")),
        client.RepositoryModelUnload(oip.RepositoryModelUnloadRequest(model_name=FACES)),
    ):
        error = await refused(call)
        assert (error.code(), refusal(error).info.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "CONTROL_ELSEWHERE",
        )
    file = oip.RepositoryModelLoadRequest(model_name="tiny-faces")
    file.parameters["file:1/model.onnx"].bytes_param = b"\0"
    config = oip.RepositoryModelLoadRequest(model_name="tiny-faces")
    config.parameters["config"].string_param = "{}"
    for request in (file, config):
        error = await refused(client.RepositoryModelLoad(request))
        assert (error.code(), refusal(error).fields) == (INVALID, ["parameters"])
