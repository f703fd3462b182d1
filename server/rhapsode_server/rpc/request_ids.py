"""The ids of rpcs, under which their lines stand in the log."""

import re
import secrets
from itertools import count

from rhapsode_server.observe.traces import Metadata, sent
from rhapsode_server.rpc.call import REQUEST_ID

# An id goes back to its client. gRPC receives any bytes, but sends only printable ASCII: what it will not send is
# INTERNAL for the client in place of the rpc's own status, and a line on standard error that is no JSON.
_FIT = re.compile(r"[!-~]{1,128}")


class RequestIds:
    """Clients' own where they fit, else ones that no other request has, here or at another server."""

    def __init__(self) -> None:
        self._server = secrets.token_hex(10)  # once: asking the system is slow
        self._count = count()

    def of(self, metadata: Metadata) -> str:
        """The id of a new rpc."""
        told = sent(metadata, REQUEST_ID)
        return told if _FIT.fullmatch(told) else f"{self._server}{next(self._count):012x}"
