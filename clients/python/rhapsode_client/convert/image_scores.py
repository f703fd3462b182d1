"""Judgements of pictures: pictures to a request message, the reply message to values."""

from collections.abc import Sequence

import numpy as np

from rhapsode.v1 import image_pb2 as pb
from rhapsode_client.convert.pictures import input_image
from rhapsode_client.convert.scalars import text
from rhapsode_client.errors import UnexpectedReply
from rhapsode_client.types import ImageScore, ImageScoresResult, PictureInput


def request(model: str, pictures: Sequence[PictureInput]) -> pb.ScoreImagesRequest:
    """The request for judgements. Raises InvalidRequest, or OSError for a file that cannot be read."""
    inputs = [input_image(f"images[{index}]", value) for index, value in enumerate(pictures)]
    return pb.ScoreImagesRequest(model=text("model", model), images=inputs)


def result(reply: pb.ScoreImagesResponse) -> ImageScoresResult:
    """All judgements. Raises UnexpectedReply where the server judged nothing."""
    if not reply.scores:
        raise UnexpectedReply("the server's reply has no score")
    return ImageScoresResult(reply.model, reply.version, reply.fingerprint, tuple(map(_score, reply.scores)))


def _score(message: pb.ImageScore) -> ImageScore:
    return ImageScore(
        realness=message.realness if message.HasField("realness") else None,
        class_probabilities=np.array(message.class_probabilities, dtype=np.float32),
        anomaly=message.anomaly,
        converted=message.converted,
    )
