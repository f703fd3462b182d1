"""The requests that attackers send, as bytes."""

from benchmarks.abuse.victim import PICTURES, TEXT

from rhapsode.v1.image_pb2 import IMAGE_FORMAT_RAW_FLOAT32, ImageGeneration, StreamImagesRequest
from rhapsode.v1.text_pb2 import GenerateTextRequest, Stopping, StreamTextRequest, TextGeneration

LONGEST = 8192  # tokens that a server allows unless it is told else


def text_stream(tokens: int = LONGEST, model: str = TEXT) -> bytes:
    """A stream of so many tokens."""
    return StreamTextRequest(generation=_generation(tokens, model)).SerializeToString()


def text(tokens: int, model: str = TEXT) -> bytes:
    """A text of so many tokens, in one reply."""
    return GenerateTextRequest(generation=_generation(tokens, model)).SerializeToString()


def picture_stream(count: int, model: str = PICTURES) -> bytes:
    """A stream of so many pictures."""
    generation = ImageGeneration(model=model, seed=1, count=count, format=IMAGE_FORMAT_RAW_FLOAT32)
    return StreamImagesRequest(generation=generation).SerializeToString()


def _generation(tokens: int, model: str) -> TextGeneration:
    return TextGeneration(model=model, seed=1, stopping=Stopping(max_tokens=tokens))
