"""The kinds of requests that a rolling restart is put under, as either client makes them."""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rhapsode_client import AsyncClient, Client, ImageFormat

TIMEOUT = 600.0  # seconds for a request, all attempts included
RAW = ImageFormat.RAW_FLOAT32

Take: TypeAlias = Callable[[Client, int], bytes]
TakeAsync: TypeAlias = Callable[[AsyncClient, int], Coroutine[None, None, bytes]]
Items: TypeAlias = Callable[[Client, int], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Models:
    """What is asked for: a text model and one of pictures, and how much of each."""

    text: str
    pictures: str
    unary_tokens: int
    stream_tokens: int
    held_tokens: int
    unary_pictures: int
    stream_pictures: int
    held_pictures: int


class Kinds:
    """The requests, as either client makes them."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self.sync: Mapping[str, Take] = {
            "unary text": self._text,
            "unary pictures": self._pictures,
            "stream of text": lambda client, seed: b"".join(self._text_items(client, seed, models.stream_tokens)),
            "stream of pictures": lambda client, seed: b"".join(
                self._picture_items(client, seed, models.stream_pictures)
            ),
        }
        self.held: Mapping[str, Items] = {
            "stream of text, held": lambda client, seed: self._text_items(client, seed, models.held_tokens),
            "stream of pictures, held": lambda client, seed: self._picture_items(client, seed, models.held_pictures),
        }
        self.asynchronous: Mapping[str, TakeAsync] = {
            "unary text": self._text_async,
            "unary pictures": self._pictures_async,
            "stream of text": self._text_stream_async,
            "stream of pictures": self._picture_stream_async,
        }

    def _text_items(self, client: Client, seed: int, count: int) -> Iterator[bytes]:
        for chunk in client.stream_text(self._models.text, seed=seed, max_tokens=count, timeout=TIMEOUT):
            yield chunk.text.encode()

    def _picture_items(self, client: Client, seed: int, count: int) -> Iterator[bytes]:
        ask = self._models.pictures
        for picture in client.stream_images(ask, seed=seed, count=count, format=RAW, timeout=TIMEOUT):
            yield picture.data

    def _text(self, client: Client, seed: int) -> bytes:
        asked = self._models
        return client.generate_text(asked.text, seed=seed, max_tokens=asked.unary_tokens, timeout=TIMEOUT).text.encode()

    def _pictures(self, client: Client, seed: int) -> bytes:
        asked = self._models
        result = client.generate_images(
            asked.pictures, seed=seed, count=asked.unary_pictures, format=RAW, timeout=TIMEOUT
        )
        return b"".join(picture.data for picture in result.pictures)

    async def _text_async(self, client: AsyncClient, seed: int) -> bytes:
        asked = self._models
        result = await client.generate_text(asked.text, seed=seed, max_tokens=asked.unary_tokens, timeout=TIMEOUT)
        return result.text.encode()

    async def _pictures_async(self, client: AsyncClient, seed: int) -> bytes:
        asked = self._models
        result = await client.generate_images(
            asked.pictures, seed=seed, count=asked.unary_pictures, format=RAW, timeout=TIMEOUT
        )
        return b"".join(picture.data for picture in result.pictures)

    async def _text_stream_async(self, client: AsyncClient, seed: int) -> bytes:
        ask, count = self._models.text, self._models.stream_tokens
        stream = client.stream_text(ask, seed=seed, max_tokens=count, timeout=TIMEOUT)
        return b"".join([chunk.text.encode() async for chunk in stream])

    async def _picture_stream_async(self, client: AsyncClient, seed: int) -> bytes:
        ask, count = self._models.pictures, self._models.stream_pictures
        stream = client.stream_images(ask, seed=seed, count=count, format=RAW, timeout=TIMEOUT)
        return b"".join([picture.data async for picture in stream])
