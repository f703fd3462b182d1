"""Text to token ids and back, by a bundle's vocabulary."""

from collections.abc import Iterator, Sequence
from itertools import islice

from rhapsode.v1.bundle_pb2 import Vocabulary
from rhapsode_server.errors import UnknownToken
from rhapsode_server.models.byte_alphabet import spelled, to_bytes
from rhapsode_server.repository.tokenizer import Cutter

_REPLACEMENT = "\ufffd".encode()  # of a byte that is no UTF-8


class Tokenizer:
    """Cuts text as the bundle's own tokenizer does; where it brings none, takes the longest token that fits at each
    place, which in a character model is the character.
    """

    def __init__(self, vocabulary: Vocabulary, cutter: Cutter | None = None) -> None:
        self._cutter = cutter
        self._byte_level = vocabulary.byte_level
        self._unknown = vocabulary.unknown_token if vocabulary.HasField("unknown_token") else None
        self._ids = {text: i for i, text in enumerate(vocabulary.tokens) if text and i != self._unknown}
        self._lengths = sorted({len(text) for text in self._ids}, reverse=True)
        self._pieces = [to_bytes(text) if self._byte_level else text.encode() for text in vocabulary.tokens]
        longest = max(map(len, self._pieces), default=0)
        self.longest_bytes = longest * len(_REPLACEMENT) if self._byte_level else longest
        """Bytes of the longest text that a token can be."""
        # A token that was added to a byte-level vocabulary is looked for as it is written.
        self._longest_cut = max(longest, *(len(text.encode()) for text in vocabulary.tokens), 1)

    def fewest(self, text: str) -> int:
        """Tokens that a text has at least, known without a look at it."""
        if self._cutter is None:
            return -(-len(text) // max(1, *self._lengths[:1]))
        # A tokenizer may leave out or join what it likes: of one that does, nothing is known.
        return -(-len(text) // self._longest_cut) if self._cutter.keeps_all else 0

    def encode(self, text: str, field: str, most: int) -> tuple[int, ...]:
        """The first token ids of a text, at most `most` of them, so that no text takes longer than that.

        Raises UnknownToken, with the index of the character, where `field` has no token for it. A vocabulary with an
        unknown token takes that for each such character instead, or for each such byte.
        """
        if self._cutter is None:
            return tuple(islice(self._longest(text, field), most))
        ids, unknown = self._cutter.cut(text, most)
        if unknown is not None:
            raise _unknown(field, text, unknown)
        return ids

    def pieces(self, ids: Sequence[int]) -> list[bytes]:
        """What each token stands for, in UTF-8; of a byte-level vocabulary it may be a part of a character."""
        return [self._pieces[token] for token in ids]

    def text_size(self, ids: Sequence[int]) -> tuple[int, int]:
        """Bytes of all pieces together, and of the text that they can be at the most."""
        size = sum(len(self._pieces[token]) for token in ids)
        return size, size * len(_REPLACEMENT) if self._byte_level else size

    def _longest(self, text: str, field: str) -> Iterator[int]:
        written = spelled(text.encode()) if self._byte_level else text
        place = 0
        while place < len(written):
            length, token = self._longest_at(written, place)
            if token is None:
                raise _unknown(field, text, _character(text, place) if self._byte_level else place)
            yield token
            place += length

    def _longest_at(self, text: str, place: int) -> tuple[int, int | None]:
        for length in self._lengths:
            piece = text[place : place + length]
            token = self._ids.get(piece)
            if token is not None:
                return len(piece), token
        return 1, self._unknown


def _character(text: str, byte: int) -> int:
    """The index of the character that a byte of the text's UTF-8 belongs to."""
    return len(text.encode()[: byte + 1].decode(errors="replace")) - 1


def _unknown(field: str, text: str, place: int) -> UnknownToken:
    return UnknownToken(field, place, ascii(text[place]))
