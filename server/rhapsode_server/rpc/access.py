"""Who may call: the rules of the access file, without any rpc.

A token is looked up by its SHA-256 in a dictionary. No comparison takes longer for a better guess: what a caller
controls is the token, and where a wrong one's digest differs from the right ones says nothing of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from rhapsode_server.rpc.caller import Caller

LONGEST_TOKEN = 1024
_SCHEME = "bearer"
NOBODY = Caller("", methods=frozenset(), models=frozenset())
"""Whoever asks for health without a credential."""


class NotRecognised(Exception):
    """No credential that is valid; `why`, for the log alone, is "none", "malformed", "unknown" or "expired"."""

    def __init__(self, why: str, client: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.client = client
        """Whose token has expired."""


@dataclass(frozen=True, slots=True)
class Token:
    """Whose a token is, and until when it is valid (None: for ever)."""

    caller: Caller
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """All clients, by what they show: tokens by their SHA-256, certificates by a name in them."""

    tokens: Mapping[bytes, Token] = field(repr=False)
    certificates: Mapping[str, Caller]

    @property
    def callers(self) -> Sequence[Caller]:
        """All clients, by name."""
        every = [*(token.caller for token in self.tokens.values()), *self.certificates.values()]
        return sorted(set(every), key=lambda caller: caller.name)

    def by_token(self, headers: Sequence[str | bytes], now: datetime) -> Caller | None:
        """The client of an rpc's authorization headers; None where there is none. Raises NotRecognised."""
        if not headers:
            return None
        token = self.tokens.get(sha256(_bearer(headers).encode()).digest())
        if token is None:
            raise NotRecognised("unknown")
        if token.expires is not None and token.expires <= now:
            raise NotRecognised("expired", token.caller.name)
        return token.caller

    def by_certificate(self, names: Sequence[str]) -> Caller:
        """The client with the first name in a certificate that is known. Raises NotRecognised."""
        for name in names:
            if name in self.certificates:
                return self.certificates[name]
        raise NotRecognised("unknown" if names else "none")

    def doubts(self, now: datetime, models: frozenset[str]) -> Iterator[str]:
        """Say what in the rules is of no use now, where these models are served."""
        for caller in self.callers:
            for model in sorted((caller.models or frozenset()) - models):
                yield f"{caller.name} may use the model {model}, which is not served"
        for token in self.tokens.values():
            if token.expires is not None and token.expires <= now:
                yield f"a token of {token.caller.name} has expired on {token.expires.isoformat()}"


def _bearer(headers: Sequence[str | bytes]) -> str:
    """The token in the only authorization header. Raises NotRecognised."""
    header = headers[0]
    if len(headers) > 1 or isinstance(header, bytes) or len(header) > LONGEST_TOKEN:
        raise NotRecognised("malformed")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != _SCHEME or not token.strip():
        raise NotRecognised("malformed")
    return token.strip()
