"""Tokens that stand for bytes → text, as far as its characters are whole."""

import codecs
from collections.abc import Sequence

_UNFINISHED = 3  # the most bytes of a character that is not whole, and so the most tokens that they are in


class Detokenizer:
    """Says what each token adds to the text: the characters that its bytes complete.

    Bytes that can be no UTF-8 become U+FFFD as soon as that is certain, so that all pieces together are what the bytes
    are when they are decoded at once.
    """

    def __init__(self, pieces: Sequence[bytes], before: Sequence[int] = ()) -> None:
        """`pieces` are the bytes of each token of the vocabulary, `before` the tokens that stand before the first."""
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder.decode(b"".join(pieces[token] for token in before[-_UNFINISHED:]))

    @property
    def inside(self) -> bool:
        """Whether the last token ends inside a character."""
        return bool(self._decoder.getstate()[0])

    def push(self, token: int) -> str:
        """The characters that a token completes."""
        return self._decoder.decode(self._pieces[token])

    def rest(self) -> str:
        """What an unfinished character is when nothing follows: U+FFFD; empty where there is none."""
        return self._decoder.decode(b"", final=True)


def whole(data: bytes) -> str:
    """The text of bytes without the character that they end inside, if they do."""
    return codecs.getincrementaldecoder("utf-8")("replace").decode(data)
