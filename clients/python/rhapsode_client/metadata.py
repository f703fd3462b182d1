"""The metadata that goes with a call: what a caller adds, a token among it, checked before gRPC sees it."""

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from rhapsode_client.errors import FieldViolation, InvalidRequest

RequestMetadata: TypeAlias = tuple[tuple[str, str | bytes], ...]
MoreMetadata: TypeAlias = Callable[[], Sequence[tuple[str, str | bytes]]]
Token: TypeAlias = str | Callable[[], str]
"""A token, or what gives the token of the moment."""

AUTHORIZATION = "authorization"
_NAME = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[ -~]*")
_TOKEN = re.compile(r"[!-~]+")


def no_more() -> RequestMetadata:
    """What a caller adds to a call who adds nothing."""
    return ()


def with_token(more: MoreMetadata, token: Token) -> MoreMetadata:
    """What a caller adds, and who the caller is. Each call raises InvalidRequest where the token cannot be one."""

    def both() -> Sequence[tuple[str, str | bytes]]:
        given = token if isinstance(token, str) else token()
        if not _TOKEN.fullmatch(given):
            raise invalid("token", "must be visible ASCII characters without spaces")  # never say which they are
        added = more()
        if any(name == AUTHORIZATION for name, _ in added):
            raise invalid("metadata", f"must not have {AUTHORIZATION} beside a token")
        return (*added, (AUTHORIZATION, f"Bearer {given}"))

    return both


def checked(pairs: Sequence[tuple[str, str | bytes]]) -> RequestMetadata:
    """The metadata as gRPC can send it. Raises InvalidRequest, which names what is wrong and repeats no value."""
    for name, value in pairs:
        if not _NAME.fullmatch(name):
            raise invalid("metadata", f"has the name {name!r}: small letters, digits, and _ - . are allowed")
        if name.endswith("-bin") != isinstance(value, bytes):
            raise invalid("metadata", f"has the name {name!r}: a name ends with -bin where its value is bytes")
        if isinstance(value, str) and not _VALUE.fullmatch(value):
            raise invalid("metadata", f"has, under {name!r}, a character that is not printable ASCII")
    return tuple(pairs)


def invalid(field: str, rule: str) -> InvalidRequest:
    """The error for a setting that is wrong."""
    return InvalidRequest(f"{field} {rule}", field_violations=(FieldViolation(field, rule),))
