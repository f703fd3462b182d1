"""Values that a field was not made for, at its bounds and far from them, and messages with some of their fields so."""

import math
from random import Random
from typing import Any, cast

import numpy as np
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from rhapsode.v1 import bounds_pb2

_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS = (0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 1e-45, -1e-40, 1e30, -3.4e38, 5e-324, 0.1, 1e9)
_TEXTS = (
    "",
    "a",
    "\0",
    "\n\r\t\x1b[31m\x7f",
    "../../../../etc/passwd",
    '"}\n{"level": "error", "msg": "failed"}',
    "%s%n{0}${jndi:x}",
    "🙂" * 64,
    "e\u0301\u202e\ufeff\uffff",
    "a" * 257,
    "a" * 5000,
    "Ω" * 33,
)
_KEYS = ("timeout", "priority", "sequence_id", "shared_memory_region", "classification", "version", "config")
_HUGE = 0.01  # of long values: they cost the sender most
_MOST_ELEMENTS = 70_000


def wild(message: Message, random: Random, names: tuple[str, ...]) -> None:
    """Change one field of a message, or of one in it. `names` are of models that there are."""
    descriptor = cast("Descriptor", message.DESCRIPTOR)
    if not descriptor.fields:
        return
    field = random.choice(descriptor.fields)
    if is_map(field):
        _change_map(getattr(message, field.name), random)
    elif field.is_repeated:
        _change_list(message, field, random, names)
    elif field.message_type is None:
        setattr(message, field.name, _value(field, random, names))
    elif random.random() < 0.1:
        message.ClearField(field.name)
    else:
        inner = getattr(message, field.name)
        inner.SetInParent()
        wild(inner, random, names)


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field holds messages by their keys."""
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _change_map(values: Any, random: Random) -> None:  # noqa: ANN401  # protobuf's maps have no common type
    """Change what stands under a key that there is, or under one of those that mean something, or under any."""
    keys = [*values, *_KEYS, random.choice(_TEXTS)]
    wild(values[random.choice(keys)], random, ())


def _change_list(message: Message, field: FieldDescriptor, random: Random, names: tuple[str, ...]) -> None:
    values = getattr(message, field.name)
    inner = field.message_type is not None
    kind = random.randrange(6)
    if kind == 0:
        message.ClearField(field.name)
    elif kind == 1 and values:
        del values[random.randrange(len(values))]
    elif kind == 2 and values:
        values.extend(values[:] if len(values) < 100 else values[:1])
    elif kind == 3 and random.random() < _HUGE * 5:
        _lengthen(values, field, random, names)
    elif inner:
        wild(random.choice(values) if values and kind > 3 else values.add(), random, names)
    elif values and kind > 3:
        values[random.randrange(len(values))] = _value(field, random, names)
    else:
        values.append(_value(field, random, names))


def _lengthen(values: Any, field: FieldDescriptor, random: Random, names: tuple[str, ...]) -> None:  # noqa: ANN401  # protobuf's lists have no common type
    """Give it as many elements as it may have, or one more."""
    most = min(_bounds(field).max_length or 100, _MOST_ELEMENTS) + random.randrange(2)
    if field.message_type is not None:
        if not values:
            values.add()
        size = max(1, values[0].ByteSize())
        values.extend([values[0]] * max(0, min(most, 1_000_000 // size) - len(values)))
    else:
        values.extend([_value(field, random, names)] * max(0, most - len(values)))


def _value(field: FieldDescriptor, random: Random, names: tuple[str, ...]) -> Any:  # noqa: ANN401  # of any type that protobuf has
    bounds = _bounds(field)
    if field.enum_type is not None:
        return random.choice([*field.enum_type.values_by_number, -1, 99, 2**31 - 1, -(2**31)])
    if field.cpp_type in _RANGES:
        return _whole(field, bounds, random)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return random.random() < 0.5
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text(field, bounds, random, names)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return random.randbytes(random.choice([0, 1, 3, 64, 1000]))
    return _number(bounds, random)


def _bounds(field: FieldDescriptor) -> bounds_pb2.Bounds:
    return field.GetOptions().Extensions[bounds_pb2.bounds]


def _whole(field: FieldDescriptor, bounds: bounds_pb2.Bounds, random: Random) -> int:
    least, most = _RANGES[field.cpp_type]
    near = [int(bound) + step for bound in (bounds.min, bounds.max) for step in (-1, 0, 1)]
    given = random.choice([*near, 0, 1, 2, 3, 5, 100, least, most, 2**31, random.getrandbits(64)])
    return max(least, min(most, given))


def _number(bounds: bounds_pb2.Bounds, random: Random) -> float:
    ends = [np.float32(bound) for bound in (bounds.min, bounds.max)]
    past = [float(np.nextafter(end, np.float32(way))) for end in ends for way in (-math.inf, math.inf)]
    inside = random.uniform(bounds.min, bounds.max or 1.0)
    return random.choice([*map(float, ends), *past, inside, inside, inside, *_FLOATS])


def _text(field: FieldDescriptor, bounds: bounds_pb2.Bounds, random: Random, names: tuple[str, ...]) -> str:
    if random.random() < _HUGE:
        return "a" * ((bounds.max_length or 1_000_000) + random.randrange(2))
    if field.name in ("model", "critic") and random.random() < 0.7:
        return random.choice(names) + random.choice(["", "", "@1", "@0", "@2", "@999999999", "@", " "])
    return random.choice(_TEXTS)
