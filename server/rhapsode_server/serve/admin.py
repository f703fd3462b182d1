"""The admin plane: health, reflection and AdminService on an address of their own, whatever the models' is at.

A server of gRPC's core by itself, in the same event loop: it has its own connections and its own caps, so it answers
when the other has all that it may have, and until that one has stopped. Requests on one are unknown to the other.
"""

from collections.abc import Callable, Sequence

import grpc

from rhapsode_server.config import Config
from rhapsode_server.rpc.interceptors import Guard
from rhapsode_server.rpc.reflection import Reflection
from rhapsode_server.rpc.routes import Service
from rhapsode_server.serve.arguments import admin_arguments
from rhapsode_server.serve.listening import bind, for_us_alone

FLAG = "--admin-address"
LAST_REPLIES = 1.0  # seconds that rpcs under way have at the end


class AdminPlane:
    """Listens from its making on, answers from `start` to `close`."""

    def __init__(self, server: grpc.aio.Server, address: str) -> None:
        self._server = server
        self.address = address

    @classmethod
    def on(
        cls,
        config: Config,
        services: Sequence[Service],
        guard: Callable[[Sequence[Service]], Guard],
        credentials: grpc.ServerCredentials | None,
    ) -> "AdminPlane":
        """Make one at the address of the settings. `guard` makes one for the services; TLS is for host:port only.

        Raises ConfigError where the address cannot be had.
        """
        address = config.admin_address
        every = [*services, *Reflection(services).services()]
        server = grpc.aio.server(interceptors=[guard(every)], options=admin_arguments(config))
        server.add_generic_rpc_handlers([each.handler() for each in every])
        if not address.startswith("unix:"):
            return cls(server, bind(server, address, credentials, flag=FLAG))
        with for_us_alone():
            return cls(server, bind(server, address, None, flag=FLAG))

    async def start(self) -> None:
        """Answer."""
        await self._server.start()

    async def close(self) -> None:
        """Answer no more."""
        await self._server.stop(LAST_REPLIES)
