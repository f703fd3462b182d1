"""Lets rpcs in: those of known clients, where there are rules, each within its client's share.

A token is checked when an rpc comes, before anything of its request is read. A certificate and the shares are checked
by the handler, which alone knows the connection: when the bytes of the request are there, before they are parsed.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc

from rhapsode_server.errors import AccessError, PermissionDenied, Unauthenticated
from rhapsode_server.observe.logs import note
from rhapsode_server.observe.traces import Metadata
from rhapsode_server.rpc.access import NOBODY, NotRecognised, Rules
from rhapsode_server.rpc.caller import ADMINISTRATION, CALLER, Caller
from rhapsode_server.rpc.methods import HEALTH
from rhapsode_server.rpc.peers import certificate_names, stranger
from rhapsode_server.rpc.quotas import Quotas, Share

UNCOUNTED = (HEALTH, ADMINISTRATION)  # what an operator needs most when a client has used its share up
# One text for all that is no credential: whoever guesses is not told how near the guess was.
REFUSAL = "a valid credential is needed: metadata authorization, Bearer and a token; or a certificate that is known"
AUTHORIZATION = "authorization"

Context = grpc.aio.ServicerContext


@dataclass(frozen=True, slots=True)
class Refused:
    """Stands for a request that nobody will read."""

    error: AccessError


def _utc() -> datetime:
    return datetime.now(UTC)


class Gate:
    """`rules` may be replaced while it serves, from any thread; None lets anybody call everything."""

    def __init__(
        self,
        rules: Rules | None = None,
        share: Share = Share(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _utc,
    ) -> None:
        self.rules = rules
        self._share = share
        self._clock = clock
        self._now = now
        self.quotas = Quotas()

    @property
    def controls(self) -> bool:
        """Whether there are rules."""
        return self.rules is not None

    def objection(self, path: str, metadata: Metadata) -> AccessError | None:
        """Why an rpc is refused as it comes; else its client becomes its CALLER, unless only a certificate can tell.

        `path` is its full name as the client sent it, "package.Service/Method".
        """
        rules, health = self.rules, path.startswith(f"{HEALTH}/")
        if rules is None:
            return None
        try:
            caller = rules.by_token([value for key, value in metadata if key == AUTHORIZATION], self._now())
            if caller is None and not rules.certificates:
                raise NotRecognised("none")
            if caller is not None:
                _enter(caller, path)
        except NotRecognised as error:
            return None if health else _unauthenticated(error)
        except PermissionDenied as error:
            return error
        return None

    @contextmanager
    def admitted(self, path: str, request: object, context: "Context[Any, Any]") -> Iterator[None]:
        """Have an rpc count among those of its client for as long as it is handled.

        Raises AccessError or QuotaError.
        """
        if isinstance(request, Refused):
            raise request.error
        del request  # which may be of megabytes, and is not needed for as long as this lasts
        service = path.partition("/")[0]
        caller = self._stranger(context) if self.rules is None else self._client(self.rules, path, context)
        share = Share(caller.concurrency, caller.rate, caller.burst) if caller else self._share
        if caller is None or not share.limited or service in UNCOUNTED:
            yield
            return
        self.quotas.begin(caller.name, share, self._clock())
        try:
            yield
        finally:
            self.quotas.end(caller.name, self._clock())

    def _stranger(self, context: "Context[Any, Any]") -> Caller | None:
        """Whoever calls where there are no rules; None where nothing hangs on it."""
        share = self._share
        if not share.limited:
            return None
        return Caller(stranger(context), concurrency=share.concurrency, rate=share.rate, burst=share.burst)

    def _client(self, rules: Rules, path: str, context: "Context[Any, Any]") -> Caller:
        """The client by its token, which was checked, or by its certificate. Raises AccessError."""
        caller = CALLER.get()
        if caller is not None:
            return caller
        try:
            caller = rules.by_certificate(certificate_names(context))
            _enter(caller, path)
        except NotRecognised as error:
            if not path.startswith(f"{HEALTH}/"):
                raise _unauthenticated(error) from None
            caller = NOBODY
            CALLER.set(caller)
        return caller


def _enter(caller: Caller, path: str) -> None:
    """Have the rpc be the client's. Raises PermissionDenied where the client may not call the method."""
    note(client=caller.name)
    service, _, method = path.partition("/")
    if service != HEALTH and not caller.may_call(service, method):
        raise PermissionDenied("the credential does not allow this method")
    CALLER.set(caller)


def _unauthenticated(error: NotRecognised) -> Unauthenticated:
    """What the client is told; the log is told more."""
    note(credential=error.why)
    if error.client:
        note(client=error.client)
    return Unauthenticated(REFUSAL)
