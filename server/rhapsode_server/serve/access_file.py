"""The form of the access file: what may stand in it, and what is wrong with one, without a word of its values."""

from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from rhapsode_server.rpc.caller import ALL
from rhapsode_server.rpc.methods import is_served

DIGEST = 64  # hexadecimal digits of a SHA-256
_EMPTY = sha256(b"").hexdigest()
_SHORT_WORDS: Mapping[str, str] = {"missing": "is missing", "extra_forbidden": "is no key that is known"}


def _digest(text: str) -> str:
    text = text.lower()
    if len(text) != DIGEST or not set(text) <= set("0123456789abcdef"):
        raise PydanticCustomError("digest", "should be the 64 hexadecimal digits of a token's SHA-256")
    if text == _EMPTY:
        raise PydanticCustomError("empty", "should not be the SHA-256 of nothing")
    return text


def _method(text: str) -> str:
    if text != ALL and not is_served(text):
        raise PydanticCustomError("method", 'should be "*", or a service or method that is served, by its full name')
    return text


Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
Identity: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
ModelName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z0-9][a-z0-9._-]{0,63})$")]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TokenEntry(_Entry):
    """A token, by the SHA-256 of its text."""

    sha256: Annotated[str, AfterValidator(_digest)] = Field(repr=False)
    expires: AwareDatetime | None = None


class ClientEntry(_Entry):
    """A client. What is said of no share is the server's own setting."""

    name: Name
    tokens: list[TokenEntry] = []
    certificates: list[Identity] = []
    methods: Annotated[list[Annotated[str, AfterValidator(_method)]], Field(min_length=1)]
    models: list[ModelName]
    concurrency: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    rate: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = None
    burst: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class AccessEntries(_Entry):
    """All of the file."""

    clients: Annotated[list[ClientEntry], Field(min_length=1)]


def problems(content: Mapping[str, object], *, certificates: bool) -> Iterator[str]:
    """All that is wrong with a file; `certificates`, whether clients show any."""
    try:
        AccessEntries.model_validate(content)
    except ValidationError as error:
        for one in error.errors(include_input=False, include_context=False, include_url=False):
            words = _SHORT_WORDS.get(one["type"]) or f"{one['msg'][0].lower()}{one['msg'][1:]}"
            yield f"{_path(one['loc'])}: {words}"
    clients = content.get("clients")
    tables = {
        f"clients[{index}]": client
        for index, client in enumerate(clients if isinstance(clients, list) else ())
        if isinstance(client, dict)
    }
    yield from _twice(tables)
    for place, client in tables.items():
        if not client.get("tokens") and not client.get("certificates"):
            yield f"{place}: needs tokens or certificates"
        if client.get("certificates") and not certificates:
            yield f"{place}.certificates: need --tls-client-ca; without it no client shows one"


def _path(places: tuple[int | str, ...]) -> str:
    """Where a value stands, as "clients[0].tokens[1].sha256"."""
    return "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in places).removeprefix(".")


def _twice(tables: Mapping[str, dict[str, object]]) -> Iterator[str]:
    """What may stand in a file only once, and stands there again."""
    seen: Counter[tuple[str, str]] = Counter()
    for place, client in tables.items():
        for kind, where, value in _unique(place, client):
            seen[kind, value] += 1
            if seen[kind, value] == 2:
                yield f"{where}: stands elsewhere too"


def _unique(place: str, client: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    name, tokens, certificates = client.get("name"), client.get("tokens"), client.get("certificates")
    if isinstance(name, str):
        yield "name", f"{place}.name", name
    for index, token in enumerate(tokens if isinstance(tokens, list) else ()):
        digest = token.get("sha256") if isinstance(token, dict) else None
        if isinstance(digest, str):
            yield "token", f"{place}.tokens[{index}].sha256", digest.lower()
    for index, identity in enumerate(certificates if isinstance(certificates, list) else ()):
        if isinstance(identity, str):
            yield "certificate", f"{place}.certificates[{index}]", identity
