"""Edits and keyframes: values to the messages that carry them; fitted attributes: the way back."""

from collections.abc import Sequence
from pathlib import Path
from typing import SupportsIndex

import numpy as np
from PIL import Image

from rhapsode.v1 import image_pb2 as pb
from rhapsode_client.convert.pictures import array, input_image, latent
from rhapsode_client.convert.scalars import text, whole, wrong_type
from rhapsode_client.types import Edit, Edited, FittedAttribute, Keyframe, Picture, PictureInput


def edits(field: str, values: Sequence[Edit]) -> list[pb.AttributeEdit]:
    """Moves in latent space. Raises InvalidRequest where one is none."""
    return [_edit(f"{field}[{index}]", value) for index, value in enumerate(values)]


def keyframes(field: str, values: Sequence[Keyframe]) -> list[pb.Keyframe]:
    """Points in latent space, edited or not. Raises InvalidRequest, or OSError for a file that cannot be read."""
    return [_keyframe(f"{field}[{index}]", value) for index, value in enumerate(values)]


def fit_request(model: str, present: Sequence[PictureInput], absent: Sequence[PictureInput]) -> pb.FitAttributeRequest:
    """The request for a direction. Raises InvalidRequest, or OSError for a file that cannot be read."""
    return pb.FitAttributeRequest(
        model=text("model", model),
        present=[input_image(f"present[{index}]", value) for index, value in enumerate(present)],
        absent=[input_image(f"absent[{index}]", value) for index, value in enumerate(absent)],
    )


def fitted(reply: pb.FitAttributeResponse) -> FittedAttribute:
    """What was found."""
    return FittedAttribute(array(reply.vector), reply.separation)


def _edit(field: str, value: Edit) -> pb.AttributeEdit:
    if not isinstance(value, Edit):
        raise wrong_type(field, "must be an Edit")
    if isinstance(value.direction, str):
        return pb.AttributeEdit(name=text(f"{field}.name", value.direction), strength=value.strength)
    return pb.AttributeEdit(vector=latent(f"{field}.vector", value.direction), strength=value.strength)


def _keyframe(field: str, value: Keyframe) -> pb.Keyframe:
    if isinstance(value, Edited):
        message = _keyframe(field, value.point)
        message.edits.extend(edits(f"{field}.edits", value.edits))
        return message
    if isinstance(value, SupportsIndex) and not isinstance(value, np.ndarray):
        return pb.Keyframe(seed=whole(field, value, bits=64))
    if isinstance(value, bytes | Path | Picture | Image.Image):
        return pb.Keyframe(image=input_image(field, value))
    if isinstance(value, np.ndarray) and (value.ndim > 1 or value.dtype == np.uint8):
        return pb.Keyframe(image=input_image(field, value))
    return pb.Keyframe(latent=latent(field, value))
