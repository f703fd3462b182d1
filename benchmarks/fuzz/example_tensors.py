"""Requests of the Open Inference Protocol that a model can answer."""

from random import Random

import numpy as np

from rhapsode.oip import inference_pb2 as oip
from rhapsode.v1 import model_pb2
from rhapsode.v1.model_pb2 import Model


def decoding(model: Model, random: Random) -> oip.ModelInferRequest:
    """A few pictures of latents, as bytes or as numbers."""
    rows = random.randint(1, 3)
    latents = np.array([[random.gauss(0, 1) for _ in range(model.latent.size)] for _ in range(rows)], np.float32)
    request = oip.ModelInferRequest(model_name=f"{model.name}.decode", id=str(random.randrange(100)))
    raw = random.random() < 0.5
    latent = request.inputs.add(name="latent", datatype="FP32", shape=latents.shape)
    if raw:
        request.raw_input_contents.append(latents.tobytes())
    else:
        latent.contents.fp32_contents.extend(latents.ravel().tolist())
    if model.classes:
        classes = np.array([random.randrange(len(model.classes)) for _ in range(rows)], np.int64)
        chosen = request.inputs.add(name="class_id", datatype="INT64", shape=classes.shape)
        if raw:
            request.raw_input_contents.append(classes.tobytes())
        else:
            chosen.contents.int64_contents.extend(classes.tolist())
    if random.random() < 0.3:
        request.outputs.add(name="image")
    if random.random() < 0.3:
        request.parameters["timeout"].int64_param = 60_000_000
    return request


def graph_of(model: Model) -> str:
    """One of its graphs, by the name that it has as a model of the protocol."""
    capabilities = set(model.capabilities)
    if model_pb2.CAPABILITY_GENERATE_TEXT in capabilities:
        return f"{model.name}.step"
    return f"{model.name}.{'encode' if model_pb2.CAPABILITY_ENCODE_IMAGES in capabilities else 'decode'}"
