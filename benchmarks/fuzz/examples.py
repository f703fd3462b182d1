"""Requests that a served model can answer, for every method: what the fuzzer spoils."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

import grpc
from benchmarks.fuzz.example_pictures import class_of, compressing, editing, inputs, latent, pictures, walk
from benchmarks.fuzz.example_tensors import decoding, graph_of
from benchmarks.fuzz.example_texts import ids, scored, texts
from benchmarks.fuzz.methods import Method
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from rhapsode.oip import inference_pb2
from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode.v1.model_pb2 import Model
from rhapsode.v1.model_pb2_grpc import ModelServiceStub

Maker = Callable[[Model, Random], Message]
_DECODES = model_pb2.CAPABILITY_EDIT_IMAGES  # it has a graph that decodes


@dataclass(frozen=True, slots=True)
class Corpus:
    """The models of a server, and a payload of each that compresses pictures."""

    models: Sequence[Model]
    payloads: Mapping[str, bytes]

    def example(self, method: Method, random: Random) -> Message:
        """A request that a model answers, or an empty one where no model answers such."""
        if method.name in _STRANGE:
            return _STRANGE[method.name](random)
        needs = _MAKERS.get(method.name)
        able = [model for model in self.models if needs and needs[0] in model.capabilities and _in_reach(model)]
        if needs is None or not able:
            return method.request()
        model = random.choice(able)
        made = needs[1](model, random)
        if isinstance(made, image_pb2.DecompressImagesRequest):
            made.compressed.add(payload=self.payloads[model.name])
        return made


def corpus(channel: grpc.Channel) -> Corpus:
    """Ask a server for its models, in the order of their names."""
    stub = ModelServiceStub(channel)
    names = sorted({model.name for model in stub.ListModels(model_pb2.ListModelsRequest()).models})
    models = [stub.GetModel(model_pb2.GetModelRequest(model=name)).model for name in names]
    images = ImageServiceStub(channel)
    payloads = {
        model.name: images.CompressImages(compressing(model, Random(0))).compressed[0].payload
        for model in models
        if model_pb2.CAPABILITY_COMPRESS_IMAGES in model.capabilities
    }
    return Corpus(models, MappingProxyType(payloads))


def _copy(message: ServerReflectionRequest) -> ServerReflectionRequest:
    copied = ServerReflectionRequest()
    copied.CopyFrom(message)
    return copied


def _in_reach(model: Model) -> bool:
    """Whether rpcs take what it takes: there are transforms of other things than pictures."""
    return bool(model.image.width or model.sequence.vocabulary.tokens)


_MAKERS: Mapping[str, tuple[int, Maker]] = MappingProxyType(
    {
        "GenerateText": (
            model_pb2.CAPABILITY_GENERATE_TEXT,
            lambda model, random: text_pb2.GenerateTextRequest(generation=texts(model, random)),
        ),
        "StreamText": (
            model_pb2.CAPABILITY_GENERATE_TEXT,
            lambda model, random: text_pb2.StreamTextRequest(generation=texts(model, random)),
        ),
        "ScoreText": (
            model_pb2.CAPABILITY_GENERATE_TEXT,
            lambda model, random: text_pb2.ScoreTextRequest(model=model.name, inputs=[scored(model, random)]),
        ),
        "ClassifyText": (
            model_pb2.CAPABILITY_CLASSIFY_TEXT,
            lambda model, random: text_pb2.ClassifyTextRequest(model=model.name, inputs=[scored(model, random)]),
        ),
        "TokenizeText": (
            model_pb2.CAPABILITY_TOKENIZE_TEXT,
            lambda model, random: text_pb2.TokenizeTextRequest(
                model=model.name, inputs=[text_pb2.TokenizeInput(token_ids=ids(model, random))]
            ),
        ),
        "GenerateImages": (
            model_pb2.CAPABILITY_GENERATE_IMAGES,
            lambda model, random: image_pb2.GenerateImagesRequest(generation=pictures(model, random)),
        ),
        "StreamImages": (
            model_pb2.CAPABILITY_GENERATE_IMAGES,
            lambda model, random: image_pb2.StreamImagesRequest(generation=pictures(model, random)),
        ),
        "InterpolateImages": (model_pb2.CAPABILITY_INTERPOLATE_IMAGES, walk),
        "EditImages": (model_pb2.CAPABILITY_EDIT_IMAGES, editing),
        "FitAttribute": (
            model_pb2.CAPABILITY_EDIT_IMAGES,
            lambda model, random: image_pb2.FitAttributeRequest(
                model=model.name, present=inputs(model, random), absent=inputs(model, random)
            ),
        ),
        "EncodeImages": (
            model_pb2.CAPABILITY_ENCODE_IMAGES,
            lambda model, random: image_pb2.EncodeImagesRequest(model=model.name, images=inputs(model, random)),
        ),
        "DecodeLatents": (
            model_pb2.CAPABILITY_INTERPOLATE_IMAGES,
            lambda model, random: image_pb2.DecodeLatentsRequest(
                model=model.name, latents=[latent(model, random)], image_class=class_of(model, random)
            ),
        ),
        "ScoreImages": (
            model_pb2.CAPABILITY_SCORE_IMAGES,
            lambda model, random: image_pb2.ScoreImagesRequest(model=model.name, images=inputs(model, random)),
        ),
        "CompressImages": (model_pb2.CAPABILITY_COMPRESS_IMAGES, compressing),
        "DecompressImages": (
            model_pb2.CAPABILITY_COMPRESS_IMAGES,
            lambda model, _: image_pb2.DecompressImagesRequest(model=model.name),
        ),
        "TransformImages": (
            model_pb2.CAPABILITY_TRANSFORM_IMAGES,
            lambda model, random: image_pb2.TransformImagesRequest(model=model.name, images=inputs(model, random)),
        ),
        "ModelInfer": (_DECODES, decoding),
        "ModelStreamInfer": (_DECODES, decoding),
        "ModelReady": (_DECODES, lambda model, _: inference_pb2.ModelReadyRequest(name=graph_of(model))),
        "ModelMetadata": (_DECODES, lambda model, _: inference_pb2.ModelMetadataRequest(name=graph_of(model))),
        "ModelConfig": (_DECODES, lambda model, _: inference_pb2.ModelConfigRequest(name=graph_of(model))),
    }
)
_SERVICES = ("", "liveness", "readiness", "rhapsode.v1.TextService")
_QUESTIONS = (
    ServerReflectionRequest(list_services=""),
    ServerReflectionRequest(file_containing_symbol="rhapsode.v1.TextService"),
    ServerReflectionRequest(file_by_filename="rhapsode/v1/image.proto"),
)
_STRANGE: Mapping[str, Callable[[Random], Message]] = MappingProxyType(
    {
        "Check": lambda random: HealthCheckRequest(service=random.choice(_SERVICES)),
        "Watch": lambda random: HealthCheckRequest(service=random.choice(_SERVICES)),
        "ServerReflectionInfo": lambda random: _copy(random.choice(_QUESTIONS)),
        "ListModels": lambda _: model_pb2.ListModelsRequest(),
    }
)
