"""Bytes as protobuf puts them on the wire, written by hand where no message would hold them."""

from typing import Final

NOT_UTF8: Final = b"a\xff\xfe"


def varint(number: int) -> bytes:
    """A whole number of any size, seven bits a byte."""
    low = bytes(((number >> shift) & 0x7F) | 0x80 for shift in range(0, max(number.bit_length(), 1), 7))
    return low[:-1] + bytes([low[-1] & 0x7F])


def numbered(field: int, number: int) -> bytes:
    """A field that holds a whole number."""
    return varint(field << 3) + varint(number)


def lengthy(field: int, content: bytes) -> bytes:
    """A field that holds bytes: a string, or a message."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def generation(model: bytes = b"tiny-text", text: bytes = b"the ", stopping: bytes = b"") -> bytes:
    """A GenerateTextRequest or a StreamTextRequest."""
    return lengthy(1, lengthy(1, model) + lengthy(2, text) + lengthy(5, stopping))
