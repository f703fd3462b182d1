"""Who sends an rpc, as far as access control knows, and what that client may do."""

from contextvars import ContextVar
from dataclasses import dataclass

from rhapsode_server.rpc.methods import ADMINISTRATION, NAMED_ALONE

ALL = "*"


@dataclass(frozen=True, slots=True)
class Caller:
    """A client. None in `methods` or `models` allows all; a share of 0 is without limit.

    All methods are those for clients: administration must be named, and what in a service for clients is administration
    by the name of the method.
    """

    name: str
    """Of the entry in the access file; where there is none, of the certificate or the host that calls."""
    methods: frozenset[str] | None = None
    """Full names of services ("rhapsode.v1.TextService") and of methods ("rhapsode.v1.TextService/StreamText"); "*" is
    for all.
    """
    models: frozenset[str] | None = None
    """Names of models, without versions."""
    concurrency: int = 0
    """Requests at a time."""
    rate: float = 0.0
    """Requests a second in the long run."""
    burst: int = 1
    """Requests that may come at once where there is a rate."""

    def may_call(self, service: str, method: str) -> bool:
        """Whether the client may call this method of this service."""
        name = f"{service}/{method}"
        if name in NAMED_ALONE:
            return self.methods is not None and name in self.methods
        if service != ADMINISTRATION and (self.methods is None or ALL in self.methods):
            return True
        return self.methods is not None and not self.methods.isdisjoint((service, name))

    def may_use(self, model: str) -> bool:
        """Whether the client may use the model of this name."""
        return self.models is None or model in self.models


CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""The client of the rpc that is being handled; None where access is not controlled."""


def may_use(model: str) -> bool:
    """Whether the client of the rpc that is being handled may use the model of this name."""
    caller = CALLER.get()
    return caller is None or caller.may_use(model)
