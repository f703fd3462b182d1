"""Any protobuf message with one thing in it changed, found by descriptor."""

from random import Random
from typing import Any

from benchmarks.fuzz import bundle_wild as wild
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_SIGNED = {FieldDescriptor.CPPTYPE_INT32: 32, FieldDescriptor.CPPTYPE_INT64: 64}
_UNSIGNED = {FieldDescriptor.CPPTYPE_UINT32: 32, FieldDescriptor.CPPTYPE_UINT64: 64}
_REAL = {FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}
_GREEDY = 0.75  # how often a change goes further down where it can


def spoil(message: Message, dice: Random) -> None:
    """Change the message, or one that is somewhere inside it: a field set, cleared, doubled, moved, lost."""
    inner = _inner(message)
    if inner and dice.random() < _GREEDY:
        spoil(dice.choice(inner), dice)
        return
    fields: list[Any] = list(message.DESCRIPTOR.fields)
    there = [field for field, _ in message.ListFields()]
    field = dice.choice(there if there and dice.random() < 0.7 else fields)
    if _is_map(field):
        getattr(message, field.name).clear()
    elif field.is_repeated:
        _spoil_list(getattr(message, field.name), field, dice)
    elif dice.random() < 0.15:
        message.ClearField(field.name)
    elif field.message_type:
        spoil(_present(message, field.name), dice)
    else:
        setattr(message, field.name, _value(field, dice))


def _spoil_list(entries: Any, field: FieldDescriptor, dice: Random) -> None:  # noqa: ANN401  # any repeated field
    place = dice.randrange(len(entries)) if entries else 0
    way = dice.randrange(4) if entries else 3
    if way == 0:
        del entries[place]
    elif way == 1:
        entries.append(entries[place])
    elif way == 2:
        kept = list(entries)
        dice.shuffle(kept)
        del entries[:]
        entries.extend(kept)
    elif field.message_type:
        spoil(entries[place] if entries else entries.add(), dice)
    elif entries and dice.random() < 0.8:
        entries[place] = _value(field, dice)
    else:
        entries.append(_value(field, dice))


def _inner(message: Message) -> list[Message]:
    """The messages right inside this one."""
    found: list[Message] = []
    for field, value in message.ListFields():
        if field.message_type and not _is_map(field):
            found += list(value) if field.is_repeated else [value]
    return found


def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def _present(message: Message, name: str) -> Message:
    inner: Message = getattr(message, name)
    inner.SetInParent()
    return inner


def _value(field: FieldDescriptor, dice: Random) -> object:
    kind = field.cpp_type
    if kind in _SIGNED:
        return wild.whole(dice, _SIGNED[kind])
    if kind in _UNSIGNED:
        return wild.whole(dice, _UNSIGNED[kind], signed=False)
    if kind in _REAL:
        return wild.real(dice)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return dice.random() < 0.5
    if field.enum_type:
        return dice.choice([value.number for value in field.enum_type.values])
    return dice.randbytes(dice.randrange(40)) if field.type == FieldDescriptor.TYPE_BYTES else wild.text(dice)
