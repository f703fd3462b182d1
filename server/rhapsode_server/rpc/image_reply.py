"""What the engine tells of pictures → messages of pictures."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

from google.protobuf.message import Message

from rhapsode.v1 import image_pb2
from rhapsode_server.config import Config
from rhapsode_server.engine.scheduler import Delivery
from rhapsode_server.models.decoder import ImageRow, Picture
from rhapsode_server.models.encoder import Encoded
from rhapsode_server.repository.registry import LoadedModel
from rhapsode_server.rpc.convert_images import BYTES_BESIDE, ImageJob

News = Sequence[Delivery[ImageRow, Picture]]
Write = Callable[[Any], Awaitable[None]]  # a servicer context's, which takes the messages of its own rpc only
MESSAGE = 1 << 20  # bytes of pictures that fill a message of a stream


def started(job: ImageJob, loaded: LoadedModel) -> image_pb2.ImagesStarted:
    """What was made of the request."""
    return image_pb2.ImagesStarted(
        model=loaded.bundle.name,
        version=loaded.bundle.version,
        fingerprint=loaded.fingerprint,
        seed=job.seed,
        count=len(job.rows),
    )


def images(job: ImageJob, news: News) -> list[image_pb2.Image]:
    """Write pictures; takes long enough to be kept out of the event loop."""
    return [_image(job, delivery.row, picture) for delivery in news for picture in delivery.events]


class Sender:
    """Writes the messages of a stream of pictures; the first says what was started.

    `make` is the class of the messages. No message has more than a mebibyte of pictures, unless it is one picture.
    """

    def __init__(
        self, write: Write, make: Callable[..., Message], begun: image_pb2.ImagesStarted, config: Config
    ) -> None:
        self._write = write
        self._make = make
        self._begun: image_pb2.ImagesStarted | None = begun
        self._most = min(MESSAGE, config.message_bytes - 1024)

    async def send(self, pictures: Sequence[image_pb2.Image]) -> None:
        """Write pictures, as many in a message as it holds."""
        for group in groups(pictures, self._most):
            await self._write(self._make(started=self._take_begun(), images=group))

    async def send_each(self, pictures: Sequence[image_pb2.Image]) -> None:
        """Write a message for each picture."""
        for picture in pictures:
            await self._write(self._make(started=self._take_begun(), image=picture))

    def _take_begun(self) -> image_pb2.ImagesStarted | None:
        begun, self._begun = self._begun, None
        return begun


def groups(pictures: Iterable[image_pb2.Image], most: int) -> Iterator[list[image_pb2.Image]]:
    """Group pictures, in order, so that no group has more than `most` bytes unless it is a single picture."""
    group: list[image_pb2.Image] = []
    size = 0
    for picture in pictures:
        more = picture.ByteSize() + BYTES_BESIDE
        if group and size + more > most:
            yield group
            group, size = [], 0
        group.append(picture)
        size += more
    if group:
        yield group


def encoding(encoded: Encoded, converted: bool) -> image_pb2.Encoding:
    """Where a picture lies."""
    return image_pb2.Encoding(
        mean=image_pb2.Latent(values=encoded.mean),
        log_variance=image_pb2.Latent(values=encoded.log_variance),
        converted=converted,
    )


def _image(job: ImageJob, row: ImageRow, picture: Picture) -> image_pb2.Image:
    spec = job.writer.spec
    return image_pb2.Image(
        index=row.index,
        format=job.writer.format,
        width=spec.width,
        height=spec.height,
        channels=spec.channels,
        data=job.writer.write(picture.values),
        latent=image_pb2.Latent(values=picture.latent) if job.latents else None,
    )
