"""The server's certificate while it serves: the newest good one that its files have held."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from threading import Lock

import grpc

from rhapsode_server.config import Config
from rhapsode_server.errors import ConfigError
from rhapsode_server.observe.logs import Log
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.serve.threads import tell
from rhapsode_server.serve.tls import Tls, read_tls


class Rotation:
    """What new handshakes show and ask for; connections that stand keep what they began with. For any thread."""

    name = "tls"

    def __init__(self, config: Config, tls: Tls, metrics: Metrics, log: Log) -> None:
        self._config = config
        self._tls = tls
        self._metrics = metrics
        self._log = log
        self._loop = asyncio.get_running_loop()  # the log is not for several threads
        self._newest = _for_grpc(tls)
        self._reading = Lock()
        self._describe()

    @property
    def paths(self) -> Sequence[str]:
        """The files to watch."""
        named = (self._config.tls_certificate, self._config.tls_key, self._config.tls_client_ca)
        return [path for path in named if path]

    @property
    def expires(self) -> datetime:
        """When the certificate that is shown ceases to be valid, in UTC."""
        return self._tls.expires

    def credentials(self) -> grpc.ServerCredentials:
        """For one address of gRPC: clients must show a certificate where it was said at the start whose (mutual TLS).

        gRPC asks in each handshake, under a lock of the address, and takes 6 ms to take in an answer.
        """
        shown = first = self._newest
        mutual = self._tls.client_ca is not None

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal shown
            newest = self._newest
            if newest is shown:
                return None
            shown = newest
            return newest

        return grpc.dynamic_ssl_server_credentials(first, fetch, mutual)  # type: ignore[arg-type]  # it may well give None

    def reload(self) -> str:
        """Read the files, and show what they hold from now on: why they are of no use, where the old is kept; or ""."""
        with self._reading:
            try:
                self._take(read_tls(self._config))
            except ConfigError as error:
                self._metrics.reload_failures.inc()
                tell(self._loop, partial(self._log.warning, "certificate not reloaded", reason=error.message))
                return error.message
            return ""

    def _take(self, tls: Tls | None) -> None:
        if tls is None or tls == self._tls:
            return
        self._tls = tls
        self._newest = _for_grpc(tls)
        tell(self._loop, partial(self._log.info, "certificate reloaded", expires=tls.expires.isoformat()))
        tell(self._loop, self._describe)

    def _describe(self) -> None:
        self._metrics.certificate_expiry.set(self._tls.expires.timestamp())
        for doubt in self._tls.doubts(datetime.now(UTC)):
            self._log.warning("certificate", reason=doubt)


def _for_grpc(tls: Tls) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(tls.key, tls.chain)], tls.client_ca)
