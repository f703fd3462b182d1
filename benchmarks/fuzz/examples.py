"""Requests that a served model can answer, for every method: what the fuzzer spoils."""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

import grpc
from benchmarks.fuzz.methods import Method
from benchmarks.fuzz.pictures import files
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode.v1.model_pb2 import Model
from rhapsode.v1.model_pb2_grpc import ModelServiceStub

Maker = Callable[[Model, Random], Message]
TOKENS, STEPS = 8, 3  # few: what is asked is looked at, not how much


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
        model.name: images.CompressImages(_compressing(model, Random(0))).compressed[0].payload
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


def _ids(model: Model, random: Random) -> text_pb2.TokenIds:
    known = len(model.sequence.vocabulary.tokens)
    return text_pb2.TokenIds(ids=[random.randrange(known) for _ in range(random.randint(2, 6))])


def _texts(model: Model, random: Random) -> text_pb2.TextGeneration:
    asked = text_pb2.TextGeneration(model=model.name, seed=random.getrandbits(64), token_ids=_ids(model, random))
    asked.stopping.max_tokens = random.randint(1, TOKENS)
    asked.sampling.temperature = random.choice([0.0, 0.5, 1.0])
    if random.random() < 0.3:
        asked.logprobs = random.randint(0, 3)
    elif random.random() < 0.2:
        asked.candidate_count = random.randint(1, 3)
    return asked


def _pictures(model: Model, random: Random) -> image_pb2.ImageGeneration:
    asked = image_pb2.ImageGeneration(model=model.name, seed=random.getrandbits(64), count=random.randint(1, 3))
    asked.format = random.choice(image_pb2.ImageFormat.values())
    if model.HasField("gibbs"):
        asked.gibbs.steps = STEPS
    if model.HasField("diffusion"):
        asked.diffusion.steps = STEPS
    if model.classes and random.random() < 0.5:
        asked.image_class.id = random.randrange(len(model.classes))
    return asked


def _latent(model: Model, random: Random) -> image_pb2.Latent:
    return image_pb2.Latent(values=[random.gauss(0, 1) for _ in range(model.latent.size)])


def _class(model: Model, random: Random) -> image_pb2.ImageClass | None:
    return image_pb2.ImageClass(id=random.randrange(len(model.classes))) if model.classes else None


def _input(model: Model, random: Random) -> image_pb2.InputImage:
    spec = model.image
    values = spec.height * spec.width * spec.channels
    match random.randrange(3):
        case 0:
            return image_pb2.InputImage(data=random.randbytes(values), format=image_pb2.IMAGE_FORMAT_RAW_UINT8)
        case 1:
            floats = struct.pack(f"<{values}f", *(random.uniform(spec.low, spec.high) for _ in range(values)))
            return image_pb2.InputImage(data=floats, format=image_pb2.IMAGE_FORMAT_RAW_FLOAT32)
        case _:
            return image_pb2.InputImage(data=random.choice(files()))


def _inputs(model: Model, random: Random) -> Sequence[image_pb2.InputImage]:
    return [_input(model, random) for _ in range(random.randint(1, 2))]


def _keyframe(model: Model, random: Random) -> image_pb2.Keyframe:
    if random.random() < 0.3 and model_pb2.CAPABILITY_ENCODE_IMAGES in model.capabilities:
        return image_pb2.Keyframe(image=_input(model, random))
    if random.random() < 0.5:
        return image_pb2.Keyframe(seed=random.getrandbits(64))
    return image_pb2.Keyframe(latent=_latent(model, random))


def _walk(model: Model, random: Random) -> Message:
    return image_pb2.InterpolateImagesRequest(
        model=model.name,
        keyframes=[_keyframe(model, random) for _ in range(2)],
        frames_per_segment=random.randint(1, 3),
        image_class=_class(model, random),
        method=random.choice(image_pb2.InterpolationMethod.values()),
    )


def _editing(model: Model, random: Random) -> Message:
    asked = image_pb2.EditImagesRequest(model=model.name, sources=[_keyframe(model, random)])
    asked.edits.add(vector=_latent(model, random), strength=random.uniform(-2, 2))
    if model.classes:
        asked.image_class.id = 0
    return asked


def _compressing(model: Model, random: Random) -> image_pb2.CompressImagesRequest:
    return image_pb2.CompressImagesRequest(model=model.name, images=_inputs(model, random))


def _scored(model: Model, random: Random) -> text_pb2.ScoreInput:
    return text_pb2.ScoreInput(token_ids=_ids(model, random))


_MAKERS: Mapping[str, tuple[int, Maker]] = MappingProxyType(
    {
        "GenerateText": (
            model_pb2.CAPABILITY_GENERATE_TEXT,
            lambda model, random: text_pb2.GenerateTextRequest(generation=_texts(model, random)),
        ),
        "StreamText": (
            model_pb2.CAPABILITY_GENERATE_TEXT,
            lambda model, random: text_pb2.StreamTextRequest(generation=_texts(model, random)),
        ),
        "ScoreText": (
            model_pb2.CAPABILITY_GENERATE_TEXT,
            lambda model, random: text_pb2.ScoreTextRequest(model=model.name, inputs=[_scored(model, random)]),
        ),
        "ClassifyText": (
            model_pb2.CAPABILITY_CLASSIFY_TEXT,
            lambda model, random: text_pb2.ClassifyTextRequest(model=model.name, inputs=[_scored(model, random)]),
        ),
        "TokenizeText": (
            model_pb2.CAPABILITY_TOKENIZE_TEXT,
            lambda model, random: text_pb2.TokenizeTextRequest(
                model=model.name, inputs=[text_pb2.TokenizeInput(token_ids=_ids(model, random))]
            ),
        ),
        "GenerateImages": (
            model_pb2.CAPABILITY_GENERATE_IMAGES,
            lambda model, random: image_pb2.GenerateImagesRequest(generation=_pictures(model, random)),
        ),
        "StreamImages": (
            model_pb2.CAPABILITY_GENERATE_IMAGES,
            lambda model, random: image_pb2.StreamImagesRequest(generation=_pictures(model, random)),
        ),
        "InterpolateImages": (model_pb2.CAPABILITY_INTERPOLATE_IMAGES, _walk),
        "EditImages": (model_pb2.CAPABILITY_EDIT_IMAGES, _editing),
        "FitAttribute": (
            model_pb2.CAPABILITY_EDIT_IMAGES,
            lambda model, random: image_pb2.FitAttributeRequest(
                model=model.name, present=_inputs(model, random), absent=_inputs(model, random)
            ),
        ),
        "EncodeImages": (
            model_pb2.CAPABILITY_ENCODE_IMAGES,
            lambda model, random: image_pb2.EncodeImagesRequest(model=model.name, images=_inputs(model, random)),
        ),
        "DecodeLatents": (
            model_pb2.CAPABILITY_INTERPOLATE_IMAGES,
            lambda model, random: image_pb2.DecodeLatentsRequest(
                model=model.name, latents=[_latent(model, random)], image_class=_class(model, random)
            ),
        ),
        "ScoreImages": (
            model_pb2.CAPABILITY_SCORE_IMAGES,
            lambda model, random: image_pb2.ScoreImagesRequest(model=model.name, images=_inputs(model, random)),
        ),
        "CompressImages": (model_pb2.CAPABILITY_COMPRESS_IMAGES, _compressing),
        "DecompressImages": (
            model_pb2.CAPABILITY_COMPRESS_IMAGES,
            lambda model, _: image_pb2.DecompressImagesRequest(model=model.name),
        ),
        "TransformImages": (
            model_pb2.CAPABILITY_TRANSFORM_IMAGES,
            lambda model, random: image_pb2.TransformImagesRequest(model=model.name, images=_inputs(model, random)),
        ),
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
