"""A client that has nothing but grpcio and the protos calls every rpc that the server declares."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from support.server import Loaded, Running, clean_environment, running

# Runs in a process of its own: what it imports is all that it knows.
CLIENT = """
import sys

import grpc
from rhapsode.oip import inference_pb2 as oip, inference_pb2_grpc
from rhapsode.v1 import image_pb2, image_pb2_grpc, model_pb2, model_pb2_grpc, text_pb2, text_pb2_grpc

assert not any(name.startswith(("rhapsode_server", "rhapsode_client")) for name in sys.modules)
channel = grpc.insecure_channel(sys.argv[1])
text, image, model, inference = (
    text_pb2_grpc.TextServiceStub(channel),
    image_pb2_grpc.ImageServiceStub(channel),
    model_pb2_grpc.ModelServiceStub(channel),
    inference_pb2_grpc.GRPCInferenceServiceStub(channel),
)


def refused(call, request):
    try:
        call(request)
    except grpc.RpcError as error:
        return error.code()



story = text_pb2.TextGeneration(model="tiny-text", text="a", stopping=text_pb2.Stopping(max_tokens=5))
faces = image_pb2.ImageGeneration(model="tiny-faces", count=2, return_latents=True)
keyframes = [image_pb2.Keyframe(seed=1), image_pb2.Keyframe(seed=2)]

assert len(model.ListModels(model_pb2.ListModelsRequest()).models) >= 4
assert model.GetModel(model_pb2.GetModelRequest(model="tiny-text")).model.name == "tiny-text"
assert len(text.GenerateText(text_pb2.GenerateTextRequest(generation=story)).candidates[0].token_ids) == 5
assert [end for reply in text.StreamText(text_pb2.StreamTextRequest(generation=story)) for end in reply.finished]
inputs = [text_pb2.ScoreInput(text="abc"), text_pb2.ScoreInput(text="to be")]
scored = text.ScoreText(text_pb2.ScoreTextRequest(model="tiny-text", inputs=inputs))
assert [one.scored_token_count for one in scored.scores] == [3, 5]
cut = text_pb2.TokenizeTextRequest(model="tiny-text", inputs=[text_pb2.TokenizeInput(text="abc")])
assert list(text.TokenizeText(cut).tokenized[0].pieces) == [b"a", b"b", b"c"]
classify = text_pb2.ClassifyTextRequest(model="tiny-text", inputs=inputs)
assert refused(text.ClassifyText, classify) is grpc.StatusCode.FAILED_PRECONDITION
pictures = image.GenerateImages(image_pb2.GenerateImagesRequest(generation=faces)).images
assert len(pictures) == 2
assert sum(len(reply.images) for reply in image.StreamImages(image_pb2.StreamImagesRequest(generation=faces))) == 2
walk = image_pb2.InterpolateImagesRequest(model="tiny-faces", keyframes=keyframes, frames_per_segment=4)
assert len(list(image.InterpolateImages(walk))) == 5
files = [image_pb2.InputImage(data=picture.data) for picture in pictures]
assert len(image.EncodeImages(image_pb2.EncodeImagesRequest(model="tiny-faces", images=files)).encodings) == 2
latents = [picture.latent for picture in pictures]
decoded = image.DecodeLatents(image_pb2.DecodeLatentsRequest(model="tiny-faces", latents=latents))
assert [picture.data for reply in decoded for picture in reply.images] == [picture.data for picture in pictures]
edit = image_pb2.AttributeEdit(name="hat", strength=2.0)
edited = image.EditImages(image_pb2.EditImagesRequest(model="tiny-faces", sources=keyframes, edits=[edit]))
assert sum(len(reply.images) for reply in edited) == 2
fitted = image.FitAttribute(image_pb2.FitAttributeRequest(model="tiny-faces", present=files[:1], absent=files[1:]))
assert len(fitted.vector.values) == 8

codes = image.CompressImages(image_pb2.CompressImagesRequest(model="tiny-codec", images=files)).compressed
again = image_pb2.DecompressImagesRequest(model="tiny-codec", compressed=codes)
assert len(image.DecompressImages(again).images) == 2
changed = image.TransformImages(image_pb2.TransformImagesRequest(model="tiny-mirror", images=files))
assert len(changed.images) == 2
scored = image.ScoreImages(image_pb2.ScoreImagesRequest(model="tiny-faces", images=files)).scores
assert len(scored) == 2

decode = "tiny-faces.decode"
infer = oip.ModelInferRequest(model_name=decode, id="mine", raw_input_contents=[bytes(32)])
infer.inputs.add(name="latent", datatype="FP32", shape=[1, 8])
assert inference.ServerLive(oip.ServerLiveRequest()).live
assert inference.ServerReady(oip.ServerReadyRequest()).ready
assert inference.ServerMetadata(oip.ServerMetadataRequest()).name == "rhapsode"
assert inference.ModelReady(oip.ModelReadyRequest(name=decode)).ready
assert inference.ModelMetadata(oip.ModelMetadataRequest(name=decode)).inputs[0].name == "latent"
assert inference.ModelConfig(oip.ModelConfigRequest(name=decode)).config.max_batch_size == 16
assert len(inference.ModelInfer(infer).raw_output_contents) == 1
assert [reply.infer_response.id for reply in inference.ModelStreamInfer(iter([infer]))] == ["mine"]
counted = inference.ModelStatistics(oip.ModelStatisticsRequest(name=decode)).model_stats
assert counted[0].inference_stats.success.count == 2
assert len(inference.RepositoryIndex(oip.RepositoryIndexRequest()).models) >= 4
load, unload = oip.RepositoryModelLoadRequest(model_name=decode), oip.RepositoryModelUnloadRequest(model_name=decode)
assert refused(inference.RepositoryModelLoad, load) is grpc.StatusCode.FAILED_PRECONDITION
assert refused(inference.RepositoryModelUnload, unload) is grpc.StatusCode.FAILED_PRECONDITION

# At the models' address nobody administers.
named = model_pb2.LoadModelRequest(model="tiny-faces")
assert refused(model.LoadModel, named) is grpc.StatusCode.UNIMPLEMENTED
assert refused(model.UnloadModel, model_pb2.UnloadModelRequest(model="tiny-faces")) is grpc.StatusCode.UNIMPLEMENTED
assert refused(model.SetModelAlias, model_pb2.SetModelAliasRequest()) is grpc.StatusCode.UNIMPLEMENTED
assert refused(lambda request: list(model.WatchModels(request)), model_pb2.WatchModelsRequest()) is (
    grpc.StatusCode.UNIMPLEMENTED
)

called = {"ListModels", "GetModel", "GenerateText", "StreamText", "ScoreText", "TokenizeText", "ClassifyText",
          "GenerateImages", "StreamImages",
          "InterpolateImages", "EditImages", "FitAttribute", "EncodeImages", "DecodeLatents", "CompressImages",
          "DecompressImages", "TransformImages", "ScoreImages",
          "ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata", "ModelConfig", "ModelInfer",
          "ModelStreamInfer", "ModelStatistics", "RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload",
          "LoadModel", "UnloadModel", "SetModelAlias", "WatchModels"}
declared = {
    method.name
    for file in (text_pb2, image_pb2, model_pb2, oip)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
assert called == declared, declared ^ called
print("all called")
"""


@pytest.fixture
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded) as started:
        yield started


async def test_a_stock_client_calls_every_rpc(server: Running) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", CLIENT, server.address],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "all called"), done.stderr
