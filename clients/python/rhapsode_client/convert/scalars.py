"""Checks that a Python value has the type of the message field that it is put into."""

import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import SupportsFloat, SupportsIndex, TypeVar

from rhapsode_client.errors import FieldViolation, InvalidRequest
from rhapsode_client.types import Prompt

EnumT = TypeVar("EnumT", bound=StrEnum)
NumberT = TypeVar("NumberT", bound=int)


def wrong_type(field: str, rule: str) -> InvalidRequest:
    """The error for a value that its field cannot carry; whether a carried value is allowed is the server's to say."""
    return InvalidRequest(f"{field} {rule}", field_violations=(FieldViolation(field, rule),))


def refuse_unknown(options: Mapping[str, object], known: Collection[str]) -> None:
    """Raise TypeError, as a call with named arguments does, for an option that there is not."""
    for name in options.keys() - known:
        raise TypeError(f"got an unexpected keyword argument {name!r}")


def whole(field: str, value: SupportsIndex, bits: int = 32) -> int:
    """`value` as an unsigned whole number of so many bits. Raises InvalidRequest where it is none."""
    try:
        number = operator.index(value)
    except TypeError:
        raise wrong_type(field, "must be a whole number") from None
    if not 0 <= number < 1 << bits:
        raise wrong_type(field, f"must be from 0 to {(1 << bits) - 1}")
    return number


def number(field: str, value: SupportsFloat) -> float:
    """`value` as a number. Raises InvalidRequest where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise wrong_type(field, "must be a number") from None


def wholes(field: str, values: Iterable[SupportsIndex], bits: int = 32) -> list[int]:
    """All of `values` as unsigned whole numbers of so many bits. Raises InvalidRequest where one is none."""
    return [whole(f"{field}[{index}]", value, bits) for index, value in enumerate(values)]


def text(field: str, value: str) -> str:
    """`value`, if it can be written as UTF-8. Raises InvalidRequest where it holds half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise wrong_type(field, f"is not valid Unicode text at index {error.start}") from None
    return value


def several(field: str, values: Sequence[Prompt]) -> Sequence[Prompt]:
    """`values`, if they are not one text: of one a sequence of its characters would be made, which nobody means.

    Raises InvalidRequest.
    """
    if isinstance(values, str):
        raise wrong_type(field, "must be a list of texts, not one text")
    return values


def member(kind: type[EnumT], name_of: Callable[[NumberT], str], value: NumberT, prefix: str) -> EnumT:
    """The member of `kind` that the wire calls `prefix` + its name; its UNKNOWN for a number of a newer server."""
    try:
        return kind[name_of(value).removeprefix(prefix)]
    except (KeyError, ValueError):
        return kind["UNKNOWN"]
