"""The Open Inference Protocol over a real socket: what is told of graphs, and what they answer."""

import grpc
import numpy as np
import pytest

from inference.asking import FACES, SHAPES, TEXT, Arrays, arrays, faces, latents, raw, stub, typed
from rhapsode.oip import inference_pb2 as oip
from rhapsode.v1.image_pb2 import IMAGE_FORMAT_RAW_FLOAT32, Latent, Latents
from support.requests import generate_images, images
from support.server import Loaded, Running, running

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_server_says_what_it_is(server: Running) -> None:
    client = stub(server)
    assert (await client.ServerLive(oip.ServerLiveRequest())).live
    assert (await client.ServerReady(oip.ServerReadyRequest())).ready
    told = await client.ServerMetadata(oip.ServerMetadataRequest())
    assert told.name == "rhapsode"
    assert set(told.extensions) == {"model_repository", "model_configuration", "statistics"}


async def test_every_graph_is_a_model(server: Running) -> None:
    index = await stub(server).RepositoryIndex(oip.RepositoryIndexRequest())
    listed = {(each.name, each.version, each.state) for each in index.models}
    assert {(FACES, "1", "READY"), ("tiny-faces.encode", "1", "READY"), (TEXT, "1", "READY")} <= listed
    assert index == await stub(server).RepositoryIndex(oip.RepositoryIndexRequest(ready=True))
    for name, version, _ in listed:
        assert (await stub(server).ModelReady(oip.ModelReadyRequest(name=name, version=version))).ready
        assert (await stub(server).ModelReady(oip.ModelReadyRequest(name=name))).ready


@pytest.mark.parametrize(("name", "version"), [("nobody.decode", ""), ("tiny-faces.step", ""), (FACES, "2")])
async def test_what_is_not_there_is_not_ready(server: Running, name: str, version: str) -> None:
    assert not (await stub(server).ModelReady(oip.ModelReadyRequest(name=name, version=version))).ready


async def test_what_was_loaded_by_a_bundles_name_is_ready_by_it_and_is_no_model(server: Running) -> None:
    client = stub(server)
    for version in ("", "1"):
        assert (await client.ModelReady(oip.ModelReadyRequest(name="tiny-faces", version=version))).ready
    for name, version in (("tiny-faces", "2"), ("nobody", "")):
        assert not (await client.ModelReady(oip.ModelReadyRequest(name=name, version=version))).ready
    with pytest.raises(grpc.aio.AioRpcError, match="names are <bundle>") as caught:
        await client.ModelMetadata(oip.ModelMetadataRequest(name="tiny-faces"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_tensors_have_their_axes_with_the_batch_and_without(server: Running) -> None:
    told = await stub(server).ModelMetadata(oip.ModelMetadataRequest(name=SHAPES))
    assert (told.name, list(told.versions), told.platform) == (SHAPES, ["1"], "onnxruntime_onnx")
    inputs = {each.name: (each.datatype, list(each.shape)) for each in told.inputs}
    assert inputs == {"latent": ("FP32", [-1, 8]), "class_id": ("INT64", [-1])}
    assert [(each.name, list(each.shape)) for each in told.outputs] == [("image", [-1, 3, 8, 8])]

    config = (await stub(server).ModelConfig(oip.ModelConfigRequest(name=SHAPES, version="1"))).config
    assert (config.name, config.max_batch_size, config.model_transaction_policy.decoupled) == (SHAPES, 16, False)
    dims = {each.name: (each.data_type, list(each.dims)) for each in config.input}
    assert dims == {"latent": (oip.TYPE_FP32, [8]), "class_id": (oip.TYPE_INT64, [])}
    assert [(each.name, list(each.dims)) for each in config.output] == [("image", [3, 8, 8])]


async def test_a_picture_is_the_one_that_the_typed_api_makes(server: Running) -> None:
    given = latents(3)
    wanted = Latents(latents=[Latent(values=row) for row in given])
    ours = await generate_images(
        server, images(None, model="tiny-faces", latents=wanted, format=IMAGE_FORMAT_RAW_FLOAT32)
    )
    reply = await stub(server).ModelInfer(raw(FACES, {"latent": given}, id="three"))
    assert (reply.model_name, reply.model_version, reply.id) == (FACES, "1", "three")
    assert reply.parameters["rhapsode_fingerprint"].string_param == ours.started.fingerprint
    assert [(each.name, each.datatype, list(each.shape)) for each in reply.outputs] == [("image", "FP32", [3, 3, 8, 8])]
    channels_last = arrays(reply)["image"].transpose(0, 2, 3, 1)
    assert channels_last.tobytes() == b"".join(image.data for image in ours.images)


async def test_numbers_are_answered_to_numbers(server: Running) -> None:
    inputs: Arrays = {"latent": latents(2), "class_id": np.array([2, 0], np.int64)}
    bytes_reply = await stub(server).ModelInfer(raw(SHAPES, inputs))
    numbers_reply = await stub(server).ModelInfer(typed(SHAPES, inputs))
    assert not numbers_reply.raw_output_contents
    assert not bytes_reply.outputs[0].HasField("contents")
    assert np.array_equal(arrays(bytes_reply)["image"], arrays(numbers_reply)["image"])


async def test_a_text_can_be_stepped_by_its_client(server: Running) -> None:
    told = await stub(server).ModelMetadata(oip.ModelMetadataRequest(name=TEXT))
    states = {each.name: each.shape[1:] for each in told.inputs if each.name != "token"}
    fed = {name: np.zeros((2, *shape), np.float32) for name, shape in states.items()}
    first = arrays(await stub(server).ModelInfer(raw(TEXT, {"token": np.array([3, 5], np.int64), **fed})))
    assert first["logits"].shape == (2, 30)
    again = {"alpha_in": first["zeta_out"], "beta_in": first["eta_out"], "token": np.array([1, 1], np.int64)}
    second = arrays(await stub(server).ModelInfer(typed(TEXT, again)))
    assert not np.array_equal(first["logits"], second["logits"])


async def test_only_what_is_asked_for_is_sent(server: Running) -> None:
    picture = np.zeros((1, 3, 8, 8), np.float32)
    output = oip.ModelInferRequest.InferRequestedOutputTensor
    asked = raw("tiny-faces.encode", {"image": picture}, outputs=[output(name="log_variance")])
    reply = await stub(server).ModelInfer(asked)
    assert [each.name for each in reply.outputs] == ["log_variance"]
    assert len(reply.raw_output_contents) == 1
    both = raw("tiny-faces.encode", {"image": picture}, outputs=[output(name="log_variance"), output(name="mean")])
    assert list(arrays(await stub(server).ModelInfer(both))) == ["log_variance", "mean"]


async def test_parameters_that_mean_nothing_here_are_borne(server: Running) -> None:
    request = faces()
    request.parameters["sequence_id"].uint64_param = 7
    request.parameters["sequence_start"].bool_param = True
    request.parameters["priority"].uint64_param = 3
    request.parameters["timeout"].int64_param = 60_000_000
    request.parameters["anything"].string_param = "else"
    request.inputs[0].parameters["binary_data_size"].int64_param = 32
    assert (await stub(server).ModelInfer(request)).outputs


async def test_statistics_count_what_was_asked(server: Running) -> None:
    async def told() -> oip.ModelStatistics:
        reply = await stub(server).ModelStatistics(oip.ModelStatisticsRequest(name="tiny-digits.decode", version="1"))
        (statistics,) = reply.model_stats
        return statistics

    before = await told()
    await stub(server).ModelInfer(raw("tiny-digits.decode", {"latent": latents(3)}))
    after = await told()
    assert (after.name, after.version) == ("tiny-digits.decode", "1")
    assert after.inference_count - before.inference_count == 3
    assert after.execution_count > before.execution_count
    assert after.last_inference > before.last_inference
    spent = after.inference_stats
    times = (spent.success, spent.queue, spent.compute_input, spent.compute_infer, spent.compute_output)
    assert {each.count for each in times} == {before.inference_stats.success.count + 1}
    assert all(each.ns for each in (spent.success, spent.compute_input, spent.compute_infer, spent.compute_output))
    every = (await stub(server).ModelStatistics(oip.ModelStatisticsRequest())).model_stats
    index = (await stub(server).RepositoryIndex(oip.RepositoryIndexRequest())).models
    assert [each.name for each in every] == [each.name for each in index]


async def test_who_is_out_of_rotation_is_live_and_not_ready(graphs: Loaded) -> None:
    async with running(graphs) as away:
        await stub(away).ModelInfer(faces())
        away.server._health.withdraw(withdrawn=True)
        client = stub(away)
        assert (await client.ServerLive(oip.ServerLiveRequest())).live
        assert not (await client.ServerReady(oip.ServerReadyRequest())).ready
        assert not (await client.ModelReady(oip.ModelReadyRequest(name=FACES))).ready
        away.server._guard.refuse()
        assert (await client.ServerLive(oip.ServerLiveRequest())).live
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.ModelInfer(faces())
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        logged = {line["grpc_method"] for line in away.log_lines() if line["msg"] == "rpc"}
        assert logged == {"inference.GRPCInferenceService/ModelInfer"}, "probes are no news"
