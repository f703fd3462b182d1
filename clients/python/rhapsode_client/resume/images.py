"""How a stream of pictures goes on after a break."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from rhapsode.v1 import image_pb2 as pb
from rhapsode_client.convert import images as convert
from rhapsode_client.resume.plan import check_same_origin
from rhapsode_client.types import ImagesStarted, OnPreview, Picture

RequestT = TypeVar("RequestT")
ImagesMessage: TypeAlias = pb.StreamImagesResponse | pb.DecodeLatentsResponse | pb.InterpolateImagesResponse


@dataclass(frozen=True, slots=True)
class Rest(Generic[RequestT]):
    """The request for what is missing; how many pictures it repeats, and what to add to the index of the others."""

    request: RequestT
    repeated: int = 0
    index_offset: int = 0


def rest_of_generation(
    request: pb.StreamImagesRequest, first: ImagesStarted, received: int
) -> Rest[pb.StreamImagesRequest]:
    """A seed's later pictures by `first_index`; of seeds and latents, those that are left."""
    rest = pb.StreamImagesRequest()
    rest.CopyFrom(request)
    generation = rest.generation
    generation.count = first.count - received
    match generation.WhichOneof("source"):
        case "seeds":
            del generation.seeds.seeds[:received]
            return Rest(rest, index_offset=received)
        case "latents":
            del generation.latents.latents[:received]
            return Rest(rest, index_offset=received)
    if first.seed is not None:
        generation.seed = first.seed
    generation.first_index += received
    return Rest(rest)


def rest_of_decoding(
    request: pb.DecodeLatentsRequest, _first: ImagesStarted, received: int
) -> Rest[pb.DecodeLatentsRequest]:
    """The latents that are left."""
    rest = pb.DecodeLatentsRequest()
    rest.CopyFrom(request)
    del rest.latents[:received]
    return Rest(rest, index_offset=received)


def rest_of_walk(
    request: pb.InterpolateImagesRequest, _first: ImagesStarted, received: int
) -> Rest[pb.InterpolateImagesRequest]:
    """The whole walk once more: the wire has no way to ask for its rest, and equal requests give equal pictures."""
    return Rest(request, repeated=received)


class ImagesPlan(Generic[RequestT]):
    """Pictures come in order, so that their number says where the stream stands; previews pass by on the side."""

    def __init__(
        self,
        request: RequestT,
        rest_of: Callable[[RequestT, ImagesStarted, int], Rest[RequestT]],
        on_preview: OnPreview | None = None,
    ) -> None:
        self._request = request
        self._rest_of = rest_of
        self._on_preview = on_preview
        self._received = 0
        self._repeated = 0
        self._index_offset = 0
        self.started: ImagesStarted | None = None

    @property
    def begun(self) -> bool:
        """Whether a server has said what it started."""
        return self.started is not None

    @property
    def complete(self) -> bool:
        """Whether every picture has come."""
        return self.started is not None and self._received >= self.started.count

    def next_request(self) -> RequestT:
        """The first request as it was made; later ones for the pictures that are missing."""
        if self.started is None:
            return self._request
        rest = self._rest_of(self._request, self.started, self._received)
        self._repeated, self._index_offset = rest.repeated, rest.index_offset
        return rest.request

    def receive(self, message: ImagesMessage) -> list[Picture]:
        """The new pictures of a message; the first message's `started` is noted on the way."""
        if message.HasField("started"):
            self._start(convert.started(message.started))
        if self._on_preview is not None and isinstance(message, pb.StreamImagesResponse):
            for image in message.previews:
                self._on_preview(convert.picture(image, self._index_offset))
        images = _images_of(message)
        repeated = min(self._repeated, len(images))
        self._repeated -= repeated
        new = [convert.picture(image, self._index_offset) for image in images[repeated:]]
        self._received += len(new)
        return new

    def _start(self, started: ImagesStarted) -> None:
        if self.started is None or not self._received:
            self.started = started
        else:
            check_same_origin(self.started, started, f"{self._received} pictures")


def _images_of(message: ImagesMessage) -> Sequence[pb.Image]:
    if isinstance(message, pb.InterpolateImagesResponse):
        return [message.image] if message.HasField("image") else []
    return message.images
