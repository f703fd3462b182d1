"""The check of a request against the bounds that stand beside its fields in the .proto files.

A message type's fields are looked at once and become a plan of small checks; checking a message is then a walk along
the plan. Long lists of numbers are compared by numpy, so that a latent of 65,536 numbers is no burden.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from rhapsode.v1 import bounds_pb2
from rhapsode_server.errors import InvalidField
from rhapsode_server.rpc.packed import floats, is_packed

# A check takes a field's value (any type that protobuf has, hence Any) and its path, and raises InvalidField.
Check = Callable[[Any, str], None]
_Least = Literal["min_length", ""]
_Most = Literal["max_length", "max_element_length"]

_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
_INTEGERS = (
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
)


@dataclass(frozen=True, slots=True)
class _Field:
    """What is asked of one field."""

    name: str
    optional: bool
    oneof: str | None
    required: bool
    packed: bool
    check: Check | None

    def visit(self, message: Message, prefix: str) -> None:
        path = prefix + self.name
        if self.required and self.oneof and message.WhichOneof(self.oneof) is None:
            raise InvalidField(prefix + self.oneof, "must have one of its members set")
        if self.optional and not message.HasField(self.name):
            if self.required and not self.oneof:
                raise InvalidField(path, "must be set")
            return
        value = getattr(message, self.name)
        if self.packed:
            value = floats(message, len(value))
        if self.required and not self.optional and not value:
            raise InvalidField(path, "must be set")
        if self.check:
            self.check(value, path)


class BoundsChecker:
    """Checks messages of any type; remembers the plan of each type that it has met."""

    def __init__(self) -> None:
        self._plans: dict[str, Sequence[_Field]] = {}

    def check(self, message: Message, prefix: str = "") -> None:
        """Raise InvalidField, with the path from the request message down, for the first field out of its bounds."""
        for field in self._plan(cast("Descriptor", message.DESCRIPTOR)):  # upb's own class, of the same shape
            field.visit(message, prefix)

    def _plan(self, descriptor: Descriptor) -> Sequence[_Field]:
        plan = self._plans.get(descriptor.full_name)
        if plan is None:
            plan = self._plans[descriptor.full_name] = tuple(self._fields(descriptor))
        return plan

    def _fields(self, descriptor: Descriptor) -> Iterator[_Field]:
        for field in descriptor.fields:
            bounds = field.GetOptions().Extensions[bounds_pb2.bounds]
            oneof = field.containing_oneof
            real = oneof is not None and len(oneof.fields) > 0 and not oneof.name.startswith("_")
            check = self._check_of(field, bounds)
            name = oneof.name if oneof and real else None
            packed = is_packed(descriptor)
            if check or bounds.required:
                yield _Field(field.name, field.has_presence, name, bounds.required, packed, check)

    def _check_of(self, field: FieldDescriptor, bounds: bounds_pb2.Bounds) -> Check | None:
        if field.message_type is not None:
            if field.message_type.GetOptions().map_entry:  # what stands under keys has no bounds
                return None
            element: Check | None = self._nested
        else:
            element = _scalar_check(field, bounds)
        return _list_check(field, element, bounds) if field.is_repeated else element

    def _nested(self, value: Message, path: str) -> None:
        self.check(value, f"{path}.")


def _list_check(field: FieldDescriptor, element: Check | None, bounds: bounds_pb2.Bounds) -> Check:
    length = _range_check(bounds, "min_length", "max_length", "elements")
    numbers = _numbers_check(field, bounds) if field.cpp_type in (*_FLOATS, *_INTEGERS) else None

    def check(values: Sequence[Any], path: str) -> None:
        if length:
            length(len(values), path)
        if numbers:
            numbers(values, path)
        elif element:
            for index, value in enumerate(values):
                element(value, f"{path}[{index}]")

    return check


def _scalar_check(field: FieldDescriptor, bounds: bounds_pb2.Bounds) -> Check | None:
    if field.cpp_type in (*_FLOATS, *_INTEGERS):
        return _number_check(field, bounds)
    if field.enum_type is not None:
        known = frozenset(field.enum_type.values_by_number)
        return _enum_check(known, bounds.required)
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text_check(field, bounds)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _size_check(field, bounds)
    return None


def _number_check(field: FieldDescriptor, bounds: bounds_pb2.Bounds) -> Check:
    low, high = _limits(field, bounds)
    exclusive, rule, metadata = bounds.exclusive_min, _interval(bounds), _metadata(bounds)

    def check(value: float, path: str) -> None:
        if not math.isfinite(value):
            raise InvalidField(path, "must be a finite number", metadata)
        if not low <= value <= high or (exclusive and value == low):
            raise InvalidField(path, rule, metadata)

    return check


def _numbers_check(field: FieldDescriptor, bounds: bounds_pb2.Bounds) -> Check | None:
    one = _number_check(field, bounds)
    low, high = _limits(field, bounds)
    exclusive = bounds.exclusive_min

    def check(values: Sequence[float], path: str) -> None:
        if not len(values):
            return
        numbers = np.asarray(values)
        least, most = float(numbers.min()), float(numbers.max())  # NaN, if there is one, and NaN is in no interval
        sound = low < least if exclusive else low <= least
        if sound and most <= high and math.isfinite(least) and math.isfinite(most):
            return
        for index, value in enumerate(numbers.tolist()):
            one(value, f"{path}[{index}]")

    return check


def _limits(field: FieldDescriptor, bounds: bounds_pb2.Bounds) -> tuple[float, float]:
    low = bounds.min if bounds.HasField("min") else -math.inf
    high = bounds.max if bounds.HasField("max") else math.inf
    if field.cpp_type != FieldDescriptor.CPPTYPE_FLOAT:
        return low, high
    return float(np.float32(low)), float(np.float32(high))  # as the field itself would hold them: 0.01 is 0.00999…


def _enum_check(known: frozenset[int], required: bool) -> Check:
    def check(value: int, path: str) -> None:
        if value not in known:
            raise InvalidField(path, "must be one of the values of its enum")
        if required and not value:
            raise InvalidField(path, "must be set")

    return check


def _text_check(field: FieldDescriptor, bounds: bounds_pb2.Bounds) -> Check | None:
    size = _size_check(field, bounds)
    pattern = re.compile(bounds.pattern) if bounds.pattern else None
    if not size and not pattern:
        return None

    def check(value: str, path: str) -> None:
        if size:
            size(value.encode(), path)
        if pattern and not pattern.fullmatch(value):
            raise InvalidField(path, f"must match {bounds.pattern}", {"pattern": bounds.pattern})

    return check


def _size_check(field: FieldDescriptor, bounds: bounds_pb2.Bounds) -> Check | None:
    most: _Most = "max_element_length" if field.is_repeated else "max_length"
    count = _range_check(bounds, "" if field.is_repeated else "min_length", most, "bytes")
    return (lambda value, path: count(len(value), path)) if count else None


def _range_check(bounds: bounds_pb2.Bounds, least: _Least, most: _Most, unit: str) -> Check | None:
    low = getattr(bounds, least) if least and bounds.HasField(least) else 0
    high = getattr(bounds, most) if bounds.HasField(most) else None
    if not low and high is None:
        return None
    rule = f"must have {low} to {high} {unit}" if high is not None else f"must have at least {low} {unit}"
    metadata = {"min_length": str(low)} | ({} if high is None else {"max_length": str(high)})

    def check(length: int, path: str) -> None:
        if length < low or (high is not None and length > high):
            raise InvalidField(path, rule, metadata)

    return check


def _interval(bounds: bounds_pb2.Bounds) -> str:
    if not bounds.HasField("min"):
        return f"must be at most {bounds.max:.15g}"
    if not bounds.HasField("max"):
        return f"must be {'above' if bounds.exclusive_min else 'at least'} {bounds.min:.15g}"
    return f"must be in {'(' if bounds.exclusive_min else '['}{bounds.min:.15g}, {bounds.max:.15g}]"


def _metadata(bounds: bounds_pb2.Bounds) -> dict[str, str]:
    return {name: f"{getattr(bounds, name):.15g}" for name in ("min", "max") if bounds.HasField(name)}
