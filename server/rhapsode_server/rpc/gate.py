"""Lets rpcs in: those of known clients, where there are rules, each within its client's share.

A token is checked when an rpc comes, and counts from then on, before anything of its request is read. A certificate, or
the host of a stranger, is looked at by the handler, which alone knows the connection: when the bytes of the request are
there, before they are parsed.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import grpc

from rhapsode_server.errors import AccessError, PermissionDenied, QuotaError, Unauthenticated
from rhapsode_server.observe.logs import note
from rhapsode_server.observe.traces import Metadata
from rhapsode_server.rpc.access import NOBODY, NotRecognised, Rules
from rhapsode_server.rpc.caller import CALLER, Caller
from rhapsode_server.rpc.methods import ADMINISTRATION, COMMANDS, HEALTH
from rhapsode_server.rpc.peers import certificate_names, stranger
from rhapsode_server.rpc.quotas import Quotas, Share
from rhapsode_server.rpc.stream_share import StreamShare

UNCOUNTED = (HEALTH, ADMINISTRATION)  # what an operator needs most when a client has used its share up
# One text for all that is no credential: whoever guesses is not told how near the guess was.
REFUSAL = "a valid credential is needed: metadata authorization, Bearer and a token; or a certificate that is known"
AUTHORIZATION = "authorization"

Context = grpc.aio.ServicerContext


@dataclass(frozen=True, slots=True)
class Refused:
    """Stands for a request that nobody will read."""

    error: AccessError | QuotaError


class _Place:
    """A request among those of its client that are under way, until it leaves; it may do so again."""

    def __init__(self, leave: Callable[[], object]) -> None:
        self._leave = leave
        self._left = False

    def leave(self, *_: object) -> None:
        """Be under way no more."""
        if not self._left:
            self._left = True
            self._leave()


_PLACE: ContextVar[_Place | None] = ContextVar("place", default=None)
"""That of the rpc whose task this is, where it was counted as it came."""


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

    def objection(self, path: str, metadata: Metadata) -> AccessError | QuotaError | None:
        """Why an rpc is refused as it comes; else its client becomes its CALLER, unless only a certificate can tell.

        `path` is its full name as the client sent it, "package.Service/Method". To be called in the rpc's own task, in
        which it then counts until `admitted` has ended or, where its request never comes, the task has.
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
                self._hold(caller, path)
        except NotRecognised as error:
            return None if health else _unauthenticated(error)
        except (PermissionDenied, QuotaError) as error:
            return error
        return None

    def _hold(self, caller: Caller, path: str) -> None:
        """Have the rpc of this task count. Raises QuotaError."""
        place, task = self._place(caller, path), asyncio.current_task()
        _PLACE.set(place)
        if place and task:
            task.add_done_callback(place.leave)

    def _place(self, caller: Caller, path: str) -> _Place | None:
        """A place among the client's requests; None where they are not counted. Raises QuotaError."""
        share = _share(caller)
        if not share.limited or path.partition("/")[0] in UNCOUNTED or path in COMMANDS:
            return None
        self.quotas.begin(caller.name, share, self._clock())
        return _Place(lambda: self.quotas.end(caller.name, self._clock()))

    @contextmanager
    def admitted(self, path: str, request: object, context: "Context[Any, Any]") -> Iterator[None]:
        """Have an rpc count among those of its client for as long as it is handled.

        Raises AccessError or QuotaError.
        """
        if isinstance(request, Refused):
            raise request.error
        del request  # which may be of megabytes, and is not needed for as long as this lasts
        # At the end of the handler, not of the task: its client may have the answer, and ask again, before that.
        place = self._place_of(path, context)
        try:
            yield
        finally:
            if place:
                place.leave()

    def stream_share(self, path: str, context: "Context[Any, Any]") -> StreamShare | None:
        """What the requests of an admitted stream count as, asked anew for each; None where nothing hangs on it."""
        caller = self._stranger(context) if self.rules is None else CALLER.get()
        if caller is None:
            return None
        share = _share(caller)
        again = (lambda: share) if self.rules is None else partial(self._again, path, context, caller.name)
        return StreamShare(caller.name, again, self.quotas, self._clock, counted=share.limited)

    def _again(self, path: str, context: "Context[Any, Any]", name: str) -> Share:
        """What the client of an open stream may have now. Raises AccessError where it is not that client any more."""
        rules = self.rules
        if rules is None:
            return Share()
        metadata = tuple(context.invocation_metadata() or ())
        try:
            caller = rules.by_token([value for key, value in metadata if key == AUTHORIZATION], self._now())
        except NotRecognised as error:
            raise _unauthenticated(error) from None
        if caller is None:
            caller = self._by_certificate(rules, path, context)
        else:
            _enter(caller, path)
        if caller.name != name:
            raise Unauthenticated(REFUSAL)
        return _share(caller)

    def _place_of(self, path: str, context: "Context[Any, Any]") -> _Place | None:
        """The place of an rpc whose request is there. Raises AccessError or QuotaError."""
        if CALLER.get() is not None:
            return _PLACE.get()
        caller = self._stranger(context) if self.rules is None else self._by_certificate(self.rules, path, context)
        return self._place(caller, path) if caller else None

    def _stranger(self, context: "Context[Any, Any]") -> Caller | None:
        """Whoever calls where there are no rules; None where nothing hangs on it."""
        share = self._share
        if not share.limited:
            return None
        return Caller(stranger(context), concurrency=share.concurrency, rate=share.rate, burst=share.burst)

    def _by_certificate(self, rules: Rules, path: str, context: "Context[Any, Any]") -> Caller:
        """The client by its certificate. Raises AccessError."""
        try:
            caller = rules.by_certificate(certificate_names(context))
            _enter(caller, path)
        except NotRecognised as error:
            if not path.startswith(f"{HEALTH}/"):
                raise _unauthenticated(error) from None
            caller = NOBODY
            CALLER.set(caller)
        return caller


def _share(caller: Caller) -> Share:
    return Share(caller.concurrency, caller.rate, caller.burst)


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
