"""Text to token ids, by a bundle's vocabulary."""

from collections.abc import Iterator
from itertools import islice

from rhapsode.v1.bundle_pb2 import Vocabulary
from rhapsode_server.errors import UnknownToken


class Tokenizer:
    """Takes the longest token that fits at each place; in a character model that is the character."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._unknown = vocabulary.unknown_token if vocabulary.HasField("unknown_token") else None
        self._ids = {text: i for i, text in enumerate(vocabulary.tokens) if text and i != self._unknown}
        self._lengths = sorted({len(text) for text in self._ids}, reverse=True)
        self.longest = self._lengths[0] if self._ids else 0
        """Characters of the longest token."""
        self.longest_bytes = max((len(text.encode()) for text in vocabulary.tokens), default=0)
        """Bytes of the longest token that can be generated."""

    def encode(self, text: str, field: str, most: int) -> tuple[int, ...]:
        """The first token ids of a text, at most `most` of them, so that no text takes longer than that.

        Raises UnknownToken, with the index of the character, where `field` has no token for it. A vocabulary with an
        unknown token takes that for each such character instead.
        """
        return tuple(islice(self._pieces(text, field), most))

    def _pieces(self, text: str, field: str) -> Iterator[int]:
        place = 0
        while place < len(text):
            length, token = self._longest_at(text, place)
            if token is None:
                raise UnknownToken(field, place)
            yield token
            place += length

    def _longest_at(self, text: str, place: int) -> tuple[int, int | None]:
        for length in self._lengths:
            piece = text[place : place + length]
            token = self._ids.get(piece)
            if token is not None:
                return len(piece), token
        return 1, self._unknown
