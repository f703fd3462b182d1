"""The numbers of a Latent from and to an array, without a Python object for each of them.

protobuf's lists are slow to read one by one: a full message of latents would hold up the event loop for 40 ms. On the
wire the numbers stand side by side, little-endian, and writing a message is a copy of memory.
"""

from typing import TypeVar

import numpy as np
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from numpy.typing import NDArray

LENGTH_DELIMITED = 2  # the wire type of packed numbers

MessageT = TypeVar("MessageT", bound=Message)


def is_packed(descriptor: Descriptor) -> bool:
    """Whether a message has one field, `repeated float` with a number below 16, and so can be read by `floats`."""
    if len(descriptor.fields) != 1:
        return False
    (field,) = descriptor.fields
    return field.is_repeated and field.type == FieldDescriptor.TYPE_FLOAT and field.number < 16


def floats(message: Message, count: int) -> NDArray[np.float32]:
    """The numbers of such a message, of which there are `count`: float32 [count]."""
    if not count:
        return np.empty(0, dtype=np.float32)
    data = message.SerializeToString()  # tag, length, numbers, unknown fields
    # The tag is one byte, the length has seven bits in each.
    offset = 1 + ((4 * count).bit_length() + 6) // 7
    return np.frombuffer(data, dtype="<f4", count=count, offset=offset).astype(np.float32)


def packed(kind: type[MessageT], values: NDArray[np.float32]) -> MessageT:
    """Make such a message of numbers: float32 [n]."""
    data = values.astype("<f4", copy=False).tobytes()
    (field,) = kind.DESCRIPTOR.fields
    return kind.FromString(header(field.number, len(data)) + data)


def header(field: int, length: int) -> bytes:
    """What stands before so many bytes of packed numbers in a message: the tag of a field below 16, the length."""
    written = bytearray([field << 3 | LENGTH_DELIMITED])
    while length > 127:
        written.append(length & 127 | 128)
        length >>= 7
    written.append(length)
    return bytes(written)
