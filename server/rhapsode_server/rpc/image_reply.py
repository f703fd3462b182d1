"""What the engine tells of pictures → messages of pictures."""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rhapsode.v1 import image_pb2
from rhapsode_server.config import Config
from rhapsode_server.engine.scheduler import Delivery
from rhapsode_server.models.decoder import Picture
from rhapsode_server.models.encoder import Encoded
from rhapsode_server.repository.registry import LoadedModel
from rhapsode_server.rpc.convert_images import BYTES_BESIDE, ImageJob
from rhapsode_server.rpc.packed import packed
from rhapsode_server.rpc.pictures import Writer
from rhapsode_server.rpc.served import PictureRow

News = Sequence[Delivery[PictureRow, Picture]]
Write = Callable[[Any], Awaitable[None]]  # a servicer context's, which takes the messages of its own rpc only
MESSAGE = 1 << 20  # bytes of pictures that fill a message of a stream


def started(job: ImageJob, loaded: LoadedModel) -> image_pb2.ImagesStarted:
    """What was made of the request."""
    return image_pb2.ImagesStarted(
        model=loaded.bundle.name,
        version=loaded.bundle.version,
        fingerprint=_fingerprint(job, loaded),
        seed=job.seed,
        count=len(job.rows),
    )


def _fingerprint(job: ImageJob, loaded: LoadedModel) -> str:
    """The model's; hashed with that of another model whose critic chose the pictures."""
    both = (loaded.fingerprint + job.chosen_by).encode()
    return hashlib.sha256(both).hexdigest() if job.chosen_by else loaded.fingerprint


@dataclass(frozen=True, slots=True, eq=False)
class Developed:
    """Pictures of one job, the next in order: their rows, what the model gave, and the bytes to send."""

    job: ImageJob
    rows: Sequence[PictureRow]
    pictures: Sequence[Picture]
    data: Sequence[bytes]

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.data)

    def fill(self, image: image_pb2.Image, place: int) -> None:
        """Write the picture at a place into a message; a message that is filled in place is not copied."""
        row = self.rows[place]
        fill(image, row.index, self.job.writer, self.data[place])
        if row.choice is not None:
            image.row, image.realness = row.choice.row, row.choice.realness
        if self.job.latents:
            image.latent.CopyFrom(packed(image_pb2.Latent, self.pictures[place].latent))
        taken = self.pictures[place].steps_taken
        if taken is not None:
            image.steps_taken = taken

    def preview(self, place: int) -> bool:
        """Whether the picture at a place is still on its way."""
        return self.pictures[place].steps_taken is not None

    def sizes(self) -> Iterator[int]:
        """An upper bound of each picture's bytes on the wire."""
        for data, picture in zip(self.data, self.pictures, strict=True):
            yield len(data) + BYTES_BESIDE + (picture.latent.nbytes if self.job.latents else 0)


class Images(Protocol):
    """The pictures of a reply that is being made."""

    def add(self) -> image_pb2.Image:
        """One more, to be filled."""
        ...


def fill(image: image_pb2.Image, index: int, writer: Writer, data: bytes) -> None:
    """Write a picture into a message; a message that is filled in place is not copied."""
    image.index, image.format, image.data = index, writer.format, data
    image.width, image.height, image.channels = writer.spec.width, writer.spec.height, writer.spec.channels


def gather(images: Images) -> Callable[[Developed], Awaitable[None]]:
    """What keeps pictures as they come, for a reply with all of them."""

    async def keep(developed: Developed) -> None:
        for place in range(len(developed)):
            developed.fill(images.add(), place)

    return keep


class Sender:
    """Writes the messages of a stream of pictures; the first says what was started.

    `make` is the class of the messages. No message has more than a mebibyte of pictures, unless it is one picture.
    """

    def __init__(self, write: Write, make: Callable[..., Any], begun: image_pb2.ImagesStarted, config: Config) -> None:
        self._write = write
        self._make = make
        self._begun: image_pb2.ImagesStarted | None = begun
        self._most = min(MESSAGE, config.message_bytes - 1024)

    async def send(self, developed: Developed) -> None:
        """Write pictures, as many in a message as it holds."""
        for group in groups(developed.sizes(), self._most):
            message = self._message()
            for place in group:
                target = message.previews if developed.preview(place) else message.images
                developed.fill(target.add(), place)
            await self._write(message)

    async def send_each(self, developed: Developed) -> None:
        """Write a message for each picture."""
        for place in range(len(developed)):
            message = self._message()
            developed.fill(message.image, place)
            await self._write(message)

    def _message(self) -> Any:  # noqa: ANN401 - of the rpc's own type
        begun, self._begun = self._begun, None
        return self._make(started=begun)


def groups(sizes: Iterable[int], most: int) -> Iterator[range]:
    """Group places, in order, so that no group's sizes sum to more than `most` unless it is a single place."""
    start, end, total = 0, 0, 0
    for end, size in enumerate(sizes):
        if end > start and total + size > most:
            yield range(start, end)
            start, total = end, 0
        total += size
    if total:
        yield range(start, end + 1)


def encoding(encoded: Encoded, converted: bool) -> image_pb2.Encoding:
    """Where a picture lies."""
    return image_pb2.Encoding(
        mean=packed(image_pb2.Latent, encoded.mean),
        log_variance=packed(image_pb2.Latent, encoded.log_variance),
        converted=converted,
    )
