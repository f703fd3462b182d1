"""How a connection to a server is made: size limits, keepalive, retries and TLS."""

import json
from dataclasses import dataclass, field

import grpc
import grpc.aio

from rhapsode_client.calls import MoreMetadata, no_more
from rhapsode_client.retry import RetryPolicy

DEFAULT_ADDRESS = "127.0.0.1:50051"
# Seconds. With waits of one or two milliseconds gRPC's core (1.85) never made the second attempt.
_SHORTEST_BACKOFF = 0.01
# The unary methods; every one of them may be sent again, since none changes the server.
_RETRIED = {
    "rhapsode.v1.TextService": ("GenerateText", "ScoreText", "ClassifyText", "TokenizeText"),
    "rhapsode.v1.ImageService": ("GenerateImages", "EncodeImages"),
    "rhapsode.v1.ModelService": ("ListModels", "GetModel"),
}


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files' contents. Absent roots mean the system's; key and chain are a client's own, for mutual TLS."""

    root_certificates: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """How to talk to a server. `tls` absent means plain text; sizes in bytes, times in seconds.

    `retry` is for unary calls and for streams that have not begun; `resume` for streams that have: its default bridges
    restarts of about 15 seconds each. `metadata` gives what goes with a call beside its request id, a `traceparent` for
    instance, in lower-case names; every attempt of a call asks it, where the call is made.
    """

    tls: Tls | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    resume: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=9, max_backoff=5.0))
    max_message_bytes: int = 64 * 2**20
    keepalive: float = 30.0
    keepalive_timeout: float = 10.0
    metadata: MoreMetadata = no_more


DEFAULT_SETTINGS = ChannelSettings()


def open_channel(address: str, settings: ChannelSettings) -> grpc.Channel:
    """A channel for the synchronous client; `address` as in "host:port", "dns:///host:port" or "unix:path"."""
    options = channel_options(settings)
    if settings.tls is None:
        return grpc.insecure_channel(address, options=options)
    return grpc.secure_channel(address, _credentials(settings.tls), options=options)


def open_aio_channel(address: str, settings: ChannelSettings) -> grpc.aio.Channel:
    """A channel for the asynchronous client, bound to the running event loop."""
    options = channel_options(settings)
    if settings.tls is None:
        return grpc.aio.insecure_channel(address, options=options)
    return grpc.aio.secure_channel(address, _credentials(settings.tls), options=options)


def channel_options(settings: ChannelSettings) -> tuple[tuple[str, str | int], ...]:
    """GRPC's channel arguments for `settings`."""
    timeout = int(settings.keepalive_timeout * 1000)
    return (
        ("grpc.service_config", service_config(settings.retry)),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.keepalive_time_ms", int(settings.keepalive * 1000)),
        ("grpc.keepalive_timeout_ms", timeout),
        # Without it a ping waits a minute for its answer, whatever the keepalive timeout says.
        ("grpc.http2.ping_timeout_ms", timeout),
        # While gRPC waits to connect again, attempts fail without trying: it must not wait longer than they do.
        ("grpc.initial_reconnect_backoff_ms", int(settings.resume.initial_backoff * 1000)),
        ("grpc.max_reconnect_backoff_ms", int(settings.resume.max_backoff * 1000)),
    )


def service_config(retry: RetryPolicy) -> str:
    """GRPC's service config: replicas in turn, and the unary methods retried on UNAVAILABLE, honouring pushback.

    Streams are left out: they are resumed where they broke, which only this package can do.
    """
    names = [{"service": service, "method": method} for service, methods in _RETRIED.items() for method in methods]
    policy = {
        "maxAttempts": retry.attempts,
        "initialBackoff": f"{max(retry.initial_backoff, _SHORTEST_BACKOFF)}s",
        "maxBackoff": f"{max(retry.max_backoff, _SHORTEST_BACKOFF)}s",
        "backoffMultiplier": retry.multiplier,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps(
        {
            "loadBalancingConfig": [{"round_robin": {}}],
            "methodConfig": [{"name": names, "retryPolicy": policy}] if retry.attempts > 1 else [],
            "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
        }
    )


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(tls.root_certificates, tls.private_key, tls.certificate_chain)
