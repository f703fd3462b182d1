"""Text to token ids, by a bundle's vocabulary."""

from collections.abc import Iterator

from rhapsode.v1.bundle_pb2 import Vocabulary
from rhapsode_server.errors import UnknownToken


class Tokenizer:
    """Takes the longest token that fits at each place; in a character model that is the character."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._unknown = vocabulary.unknown_token if vocabulary.HasField("unknown_token") else None
        self._ids = {text: i for i, text in enumerate(vocabulary.tokens) if text and i != self._unknown}
        self.longest = max(map(len, self._ids), default=0)
        """Characters of the longest token."""
        self.longest_bytes = max((len(text.encode()) for text in vocabulary.tokens), default=0)
        """Bytes of the longest token that can be generated."""

    def encode(self, text: str, field: str) -> tuple[int, ...]:
        """Token ids of a text. Raises UnknownToken, with the index of the character, where `field` has no token for it.

        A vocabulary with an unknown token takes that for each such character instead.
        """
        return tuple(self._pieces(text, field))

    def _pieces(self, text: str, field: str) -> Iterator[int]:
        place = 0
        while place < len(text):
            length, token = self._longest_at(text, place)
            if token is None:
                raise UnknownToken(field, place)
            yield token
            place += length

    def _longest_at(self, text: str, place: int) -> tuple[int, int | None]:
        for length in range(min(self.longest, len(text) - place), 0, -1):
            token = self._ids.get(text[place : place + length])
            if token is not None:
                return length, token
        return 1, self._unknown
