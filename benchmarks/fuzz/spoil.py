"""Bytes that have gone wrong: flipped, cut off, doubled, or replaced by what parsers stumble over."""

from random import Random

from google.protobuf.message import Message

_EVIL = (
    b"\xff" * 11,  # a varint that does not end
    b"\x80" * 9 + b"\x01",
    b"\xed\xa0\x80",  # half of a surrogate pair
    b"\xc0\x80",
    b"\x0a\xff\xff\xff\xff\x0f",  # a field of 4 GiB
    b"\x0b" * 200,  # groups in groups
    b"\x00" * 4,
    b"\xff\xff\xff\xff",
)


def spoilt(data: bytes, random: Random, changes: int) -> bytes:
    """The bytes after so many changes."""
    for _ in range(changes):
        place = random.randrange(len(data) + 1)
        head, rest = data[:place], data[place:]
        match random.randrange(8):
            case 0 | 1:
                data = head + bytes([rest[0] ^ 1 << random.randrange(8)]) + rest[1:] if rest else head
            case 2:
                data = head + random.randbytes(1) + rest[1:]
            case 3:
                data = head + random.randbytes(random.randint(1, 9)) + rest
            case 4:
                data = head + rest[random.randint(1, 9) :]
            case 5:
                data = head
            case 6:
                data = head + head[-random.randint(1, 64) :] + rest
            case _:
                data = head + random.choice(_EVIL) + rest
    return data


def spoilt_message(message: Message, random: Random) -> bytes:
    """A message's bytes, spoilt as bytes, or as a message that no writer of ours would write."""
    data = message.SerializeToString()
    match random.randrange(8):
        case 0:
            return data * random.choice([2, 3, 100])  # every field twice and more: the last one counts, or all do
        case 1:
            return nested(data, random.choice([2, 50, 99, 101, 5000]))
        case 2:
            return data + random.choice(_EVIL)
        case 3:
            return random.randbytes(random.choice([0, 1, 5, 64, 1000]))
        case 4:
            return data + b"\x0a\x00" * random.choice([10, 1000, 100_000])  # a bomb of empty messages
        case 5:
            return data + b"\xc0\x3e\x01" + b"\xfa\x3e" + bytes([4]) + random.randbytes(4)  # fields of a later version
        case _:
            return spoilt(data, random, random.choice([1, 1, 2, 5]))


def nested(data: bytes, depth: int) -> bytes:
    """The message as field 1 of a message that is field 1 of another, and so on."""
    for _ in range(depth):
        size, length = len(data), b""
        while size > 127:
            length += bytes([size & 127 | 128])
            size >>= 7
        data = b"\x0a" + length + bytes([size]) + data
    return data
