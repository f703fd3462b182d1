"""Pictures sent and had back as something else, compressed or transformed: values to messages, and back."""

from collections.abc import Sequence

from rhapsode.v1 import image_pb2 as pb
from rhapsode_client.convert.images import picture, started
from rhapsode_client.convert.pictures import input_image, wire_format
from rhapsode_client.convert.scalars import text, wrong_type
from rhapsode_client.types import CompressedPicture, ImageFormat, ImagesResult, PictureInput, TransformResult


def compress_request(model: str, images: Sequence[PictureInput]) -> pb.CompressImagesRequest:
    """The request for codes of pictures. Raises InvalidRequest, or OSError for a file that cannot be read."""
    inputs = [input_image(f"images[{index}]", value) for index, value in enumerate(images)]
    return pb.CompressImagesRequest(model=text("model", model), images=inputs)


def decompress_request(
    model: str, compressed: Sequence[CompressedPicture | bytes], image_format: ImageFormat
) -> pb.DecompressImagesRequest:
    """The request for the pictures of codes. Raises InvalidRequest where one is none."""
    payloads = [_payload(f"compressed[{index}]", value) for index, value in enumerate(compressed)]
    codes = [pb.CompressedImage(payload=payload) for payload in payloads]
    return pb.DecompressImagesRequest(model=text("model", model), compressed=codes, format=wire_format(image_format))


def transform_request(
    model: str, images: Sequence[PictureInput], image_format: ImageFormat
) -> pb.TransformImagesRequest:
    """The request for what becomes of pictures. Raises as `compress_request`."""
    inputs = [input_image(f"images[{index}]", value) for index, value in enumerate(images)]
    return pb.TransformImagesRequest(model=text("model", model), images=inputs, format=wire_format(image_format))


def compressed_pictures(reply: pb.CompressImagesResponse) -> tuple[CompressedPicture, ...]:
    """One code for each picture."""
    return tuple(CompressedPicture(message.payload, message.converted) for message in reply.compressed)


def decompressed(reply: pb.DecompressImagesResponse) -> ImagesResult:
    """All pictures."""
    return ImagesResult(started(reply.started), tuple(picture(message) for message in reply.images))


def transformed(reply: pb.TransformImagesResponse) -> TransformResult:
    """All pictures, and which of those given were converted."""
    pictures = tuple(picture(message) for message in reply.images)
    return TransformResult(started(reply.started), pictures, tuple(reply.converted))


def _payload(field: str, value: CompressedPicture | bytes) -> bytes:
    payload = value.payload if isinstance(value, CompressedPicture) else value
    if not isinstance(payload, bytes):
        raise wrong_type(field, "must be bytes, or what compress_images gave")
    return payload
