"""The alphabet in which byte-level vocabularies write bytes: a character for each of the 256 (Radford et al. 2019)."""

from collections.abc import Mapping
from types import MappingProxyType

# Bytes that print by themselves stand for themselves; the others, in order, take the characters from U+0100 on.
_PRINTED = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_OTHERS = tuple(byte for byte in range(256) if byte not in _PRINTED)

CHARACTERS: tuple[str, ...] = tuple(
    chr(byte) if byte in _PRINTED else chr(0x100 + _OTHERS.index(byte)) for byte in range(256)
)
"""The character of each byte."""
BYTES: Mapping[str, int] = MappingProxyType({character: byte for byte, character in enumerate(CHARACTERS)})
"""The byte of each character."""
_TABLE = dict(enumerate(CHARACTERS))


def to_bytes(token: str) -> bytes:
    """The bytes that a token of a byte-level vocabulary stands for. Raises KeyError for any other character."""
    return bytes(map(BYTES.__getitem__, token))


def spelled(data: bytes) -> str:
    """Bytes as characters of the alphabet."""
    return data.decode("latin-1").translate(_TABLE)
