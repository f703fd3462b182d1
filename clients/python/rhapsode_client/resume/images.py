"""How a stream of pictures goes on after a break."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from rhapsode.v1 import image_pb2 as pb
from rhapsode_client.convert import images as convert
from rhapsode_client.resume.plan import check_same_origin, reference
from rhapsode_client.types import ImagesStarted, OnPreview, Picture

ImagesRequest: TypeAlias = (
    pb.StreamImagesRequest | pb.DecodeLatentsRequest | pb.EditImagesRequest | pb.InterpolateImagesRequest
)
ImagesRequestT = TypeVar("ImagesRequestT", bound=ImagesRequest)
ImagesMessage: TypeAlias = (
    pb.StreamImagesResponse | pb.DecodeLatentsResponse | pb.EditImagesResponse | pb.InterpolateImagesResponse
)


@dataclass(frozen=True, slots=True)
class Rest(Generic[ImagesRequestT]):
    """The request for what is missing; how many pictures it repeats, and what to add to the index of the others."""

    request: ImagesRequestT
    repeated: int = 0
    index_offset: int = 0


def rest_of_generation(
    request: pb.StreamImagesRequest, first: ImagesStarted, received: int
) -> Rest[pb.StreamImagesRequest]:
    """A seed's later pictures by `first_index`; of seeds and latents, those that are left."""
    generation = request.generation
    generation.count = first.count - received
    match generation.WhichOneof("source"):
        case "seeds":
            del generation.seeds.seeds[:received]
            return Rest(request, index_offset=received)
        case "latents":
            del generation.latents.latents[:received]
            return Rest(request, index_offset=received)
    if first.seed is not None:
        generation.seed = first.seed
    generation.first_index += received
    return Rest(request)


def rest_of_decoding(
    request: pb.DecodeLatentsRequest, _first: ImagesStarted, received: int
) -> Rest[pb.DecodeLatentsRequest]:
    """The latents that are left."""
    del request.latents[:received]
    return Rest(request, index_offset=received)


def rest_of_edits(request: pb.EditImagesRequest, _first: ImagesStarted, received: int) -> Rest[pb.EditImagesRequest]:
    """The sources that are left."""
    del request.sources[:received]
    return Rest(request, index_offset=received)


def rest_of_walk(
    request: pb.InterpolateImagesRequest, _first: ImagesStarted, received: int
) -> Rest[pb.InterpolateImagesRequest]:
    """The whole walk once more: the wire has no way to ask for its rest, and equal requests give equal pictures."""
    return Rest(request, repeated=received)


class ImagesPlan(Generic[ImagesRequestT]):
    """Pictures come in order, so that their number says where the stream stands; previews pass by on the side.
    `rest_of` makes of a copy of the request the one for what is missing.
    """

    def __init__(
        self,
        request: ImagesRequestT,
        rest_of: Callable[[ImagesRequestT, ImagesStarted, int], Rest[ImagesRequestT]],
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

    @property
    def origin(self) -> ImagesStarted | None:
        """What made the pictures that have been delivered; None while none have."""
        return self.started if self._received else None

    def next_request(self) -> ImagesRequestT:
        """The first request as it was made; later ones for the pictures that are missing."""
        if self.started is None:
            return self._request
        again = deepcopy(self._request)
        named = again.generation if isinstance(again, pb.StreamImagesRequest) else again
        named.model = reference(named.model, self.origin)
        rest = self._rest_of(again, self.started, self._received)
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
        if self.origin is None:
            self.started = started
        else:
            check_same_origin(self.origin, started, f"{self._received} pictures")


def _images_of(message: ImagesMessage) -> Sequence[pb.Image]:
    if isinstance(message, pb.InterpolateImagesResponse):
        return [message.image] if message.HasField("image") else []
    return message.images
