"""grpc.health.v1, with a Watch that cannot be made to hang the server.

A watcher reads the state and then writes outside of any lock, so a client that does not read holds up nobody but
itself; grpcio's own servicer writes while it holds the lock that a change of state needs. Watches last, and need no
credential, so there are only so many.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import cast

from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1.health_pb2 import DESCRIPTOR, HealthCheckRequest, HealthCheckResponse

from rhapsode_server.errors import ModelNotFound, TooManyWatches
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.caller import CALLER
from rhapsode_server.rpc.routes import Service, service

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING
LIVENESS = "liveness"
READINESS = "readiness"
MOST_WATCHES = 1024  # 24 KiB each


class Health:
    """The health of named services: "liveness" serves while the event loop turns, others while requests are wanted.

    A model ceases to serve by itself where it fails; everything does where only a restart helps. Where no model at all
    is served no requests are wanted: they would be refused for good, while a server beside this one may have the model.
    Of `most_watches` at a time, one more is refused; checks never are.
    """

    def __init__(self, names: Iterable[str], *, most_watches: int = MOST_WATCHES) -> None:
        self._most_watches = most_watches
        self._watches = 0
        self._models: Mapping[str, bool] = {}
        self._idle = False
        self._names = frozenset(("", LIVENESS, READINESS, *names))
        self._ill: set[str] = set()
        self._changed = asyncio.Event()
        self._withdrawn = False
        self._leaving = False
        self._failed = False
        self._closed = False

    def service(self) -> Service:
        """What to register."""
        return service(cast("ServiceDescriptor", DESCRIPTOR.services_by_name["Health"]), self)

    @property
    def ready(self) -> bool:
        """Whether requests are wanted."""
        return self._state(READINESS) == SERVING

    def serves(self, name: str) -> bool:
        """Whether requests are wanted for a service or a model."""
        return self._state(name) == SERVING

    @property
    def withdrawn(self) -> bool:
        """Whether an operator wants the server to get no requests."""
        return self._withdrawn

    @property
    def idle(self) -> bool:
        """Whether no model is served."""
        return self._idle

    @property
    def leaving(self) -> bool:
        """Whether the server is about to stop."""
        return self._leaving

    def withdraw(self, withdrawn: bool) -> None:
        """Tell that the server is to get no requests though it serves, or that it is to get some again."""
        self._withdrawn = withdrawn
        self._wake()

    def leave(self) -> None:
        """Tell that the server is about to stop; it still serves."""
        self._leaving = True
        self._wake()

    def fail(self) -> None:
        """Tell that nothing serves, nor lives: whoever looks after the process may end it."""
        self._failed = True
        self._wake()

    def follow(self, models: Mapping[str, bool]) -> None:
        """Tell the names of the models that there are: whether one is served, or is only being loaded."""
        self._models = models
        self._idle = not any(models.values())
        self._ill.intersection_update(models)
        self._wake()

    def set(self, name: str, *, serving: bool) -> None:
        """Tell whether one model serves by itself."""
        (self._ill.discard if serving else self._ill.add)(name)
        self._wake()

    def close(self) -> None:
        """End all watches."""
        self._closed = True
        self._wake()

    async def Check(self, request: HealthCheckRequest, _call: Call) -> HealthCheckResponse:
        """Answer the state of one service."""
        state = self._state_of(request.service)
        if state is None:
            raise ModelNotFound("the health of no such service is known")
        return HealthCheckResponse(status=state)

    async def Watch(self, request: HealthCheckRequest, call: Call) -> None:
        """Write the state of one service now and whenever it changes. Raises TooManyWatches."""
        if self._watches >= self._most_watches:
            message = f"{self._most_watches} watches of health are open, as many as may be; a check is answered"
            raise TooManyWatches(message, {"limit": str(self._most_watches)})
        self._watches += 1
        try:
            await self._tell(request, call)
        finally:
            self._watches -= 1

    async def _tell(self, request: HealthCheckRequest, call: Call) -> None:
        told: int | None = -1  # no state
        while True:
            changed, closed = self._changed, self._closed
            state = self._state_of(request.service)
            if state != told:
                await call.write(HealthCheckResponse(status=state or HealthCheckResponse.SERVICE_UNKNOWN))
                told = state
            if closed:
                return
            await changed.wait()

    def _state_of(self, name: str) -> int | None:
        """The state of one; None where it is not known, or is a model that is none of the client's business."""
        caller = CALLER.get()
        hidden = caller is not None and name not in self._names and not caller.may_use(name)
        return None if hidden else self._state(name)

    def _state(self, name: str) -> int | None:
        """The state of a service; None of one that there is not."""
        if name not in self._names and name not in self._models:
            return None
        well = name in self._names or (self._models[name] and name not in self._ill)
        away = self._leaving or self._withdrawn or self._idle or not well
        return NOT_SERVING if self._failed or (away and name != LIVENESS) else SERVING

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
