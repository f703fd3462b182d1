"""How a connection to a server is made: size limits, keepalive, balancing, retries and TLS."""

import json
from dataclasses import dataclass, field

import grpc
import grpc.aio

from rhapsode_client.addresses import Address, Target, target_of
from rhapsode_client.metadata import MoreMetadata, Token, invalid, no_more, with_token
from rhapsode_client.retry import RetryPolicy

DEFAULT_ADDRESS = "127.0.0.1:50051"
# Seconds. With waits of one or two milliseconds gRPC's core (1.85) never made the second attempt.
_SHORTEST_BACKOFF = 0.01
# A server that stops cancels, without a word, what has arrived and was not begun. Our own cancels gRPC does not retry.
_RETRYABLE = ("UNAVAILABLE", "CANCELLED")
# Failures in a row until gRPC stops to retry: twice as many tokens. A connection that breaks fails up to 100 calls at
# once, which is no reason for doubt; each call that succeeds gives a tenth of a token back.
_FAILURES_TO_DOUBT = 125
# The unary methods; every one of them may be sent again, since none changes the server.
RETRIED = {
    "rhapsode.v1.TextService": ("GenerateText", "ScoreText", "ClassifyText", "TokenizeText"),
    "rhapsode.v1.ImageService": (
        "GenerateImages",
        "FitAttribute",
        "EncodeImages",
        "ScoreImages",
        "CompressImages",
        "DecompressImages",
        "TransformImages",
    ),
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
    instance, in lower-case names; every attempt of a call asks it, where the call is made. An `x-request-id` in it is
    not heeded: each call has one of its own, which its errors name. `health_service` is what each of several servers is
    asked for, so that one which is about to stop is left while it still serves; None asks for nothing.

    `token` says who calls, to a server that wants to know: a string, or what gives one for each attempt. It is a secret
    that everybody on the way could read in plain text: without `tls` a client is not made with one, except for an
    address on this machine, or where `plain_text_token` says that somebody else keeps the way secret.
    """

    tls: Tls | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    resume: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=9, max_backoff=5.0))
    max_message_bytes: int = 64 * 2**20
    keepalive: float = 30.0
    keepalive_timeout: float = 10.0
    metadata: MoreMetadata = no_more
    health_service: str | None = "readiness"
    token: Token | None = field(default=None, repr=False)
    plain_text_token: bool = False

    @property
    def sent(self) -> MoreMetadata:
        """What goes with a call: the metadata, and the token where there is one."""
        return self.metadata if self.token is None else with_token(self.metadata, self.token)


DEFAULT_SETTINGS = ChannelSettings()


def open_channel(address: Address, settings: ChannelSettings) -> grpc.Channel:
    """A channel for the synchronous client. Raises InvalidRequest where a token would go in plain text."""
    target = _checked_target(address, settings)
    options = channel_options(settings, several=target.several)
    if settings.tls is None:
        return grpc.insecure_channel(target.name, options=options)
    return grpc.secure_channel(target.name, _credentials(settings.tls), options=options)


def open_aio_channel(address: Address, settings: ChannelSettings) -> grpc.aio.Channel:
    """A channel for the asynchronous client, bound to the running event loop. Raises InvalidRequest likewise."""
    target = _checked_target(address, settings)
    options = channel_options(settings, several=target.several)
    if settings.tls is None:
        return grpc.aio.insecure_channel(target.name, options=options)
    return grpc.aio.secure_channel(target.name, _credentials(settings.tls), options=options)


def _checked_target(address: Address, settings: ChannelSettings) -> Target:
    target = target_of(address)
    if settings.token is not None and settings.tls is None and not (target.local or settings.plain_text_token):
        raise invalid("token", "is not sent in plain text to another machine: set tls, or plain_text_token if it must")
    return target


def channel_options(settings: ChannelSettings, *, several: bool = False) -> tuple[tuple[str, str | int], ...]:
    """GRPC's channel arguments for `settings`; only of `several` servers is health asked, since one cannot be left."""
    timeout = int(settings.keepalive_timeout * 1000)
    return (
        ("grpc.service_config", service_config(settings.retry, settings.health_service if several else None)),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.keepalive_time_ms", int(settings.keepalive * 1000)),
        ("grpc.keepalive_timeout_ms", timeout),
        # Without it a ping waits a minute for its answer, whatever the keepalive timeout says.
        ("grpc.http2.ping_timeout_ms", timeout),
        # A server that was replaced has another address: by itself gRPC looks a name up once in 30 seconds at most.
        ("grpc.dns_min_time_between_resolutions_ms", 1000),
        # While gRPC waits to connect again, attempts fail without trying: it must not wait longer than they do.
        ("grpc.initial_reconnect_backoff_ms", int(settings.resume.initial_backoff * 1000)),
        ("grpc.max_reconnect_backoff_ms", int(settings.resume.max_backoff * 1000)),
        # A token that is for this machine only must not reach a proxy on the way to it.
        (
            "grpc.enable_http_proxy",
            int(settings.token is None or settings.tls is not None or settings.plain_text_token),
        ),
    )


def service_config(retry: RetryPolicy, health_service: str | None) -> str:
    """GRPC's service config: replicas in turn, those left out that say that they are not ready, and the unary methods
    sent again to the next one where the status allows it, honouring pushback.

    Streams are left out: they are resumed where they broke, which only this package can do.
    """
    config: dict[str, object] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [_retries(retry)] if retry.attempts > 1 else [],
        "retryThrottling": {"maxTokens": 2 * _FAILURES_TO_DOUBT, "tokenRatio": 0.1},
    }
    if health_service is not None:
        config["healthCheckConfig"] = {"serviceName": health_service}
    return json.dumps(config)


def _retries(retry: RetryPolicy) -> dict[str, object]:
    policy = {
        "maxAttempts": retry.attempts,
        "initialBackoff": f"{max(retry.initial_backoff, _SHORTEST_BACKOFF)}s",
        "maxBackoff": f"{max(retry.max_backoff, _SHORTEST_BACKOFF)}s",
        "backoffMultiplier": retry.multiplier,
        "retryableStatusCodes": _RETRYABLE,
    }
    names = [{"service": service, "method": method} for service, methods in RETRIED.items() for method in methods]
    return {"name": names, "retryPolicy": policy}


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(tls.root_certificates, tls.private_key, tls.certificate_chain)
