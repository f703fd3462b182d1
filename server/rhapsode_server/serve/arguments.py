"""The channel arguments of the gRPC server."""

from rhapsode_server.config import Config

ADMIN_CONNECTIONS = 64  # operators, and probes, each of which has one for a moment
ADMIN_STREAMS = 16
ADMIN_BYTES = 1 << 20


def channel_arguments(config: Config) -> list[tuple[str, int]]:
    """What gRPC's core is told: it leaves most caps open, and some defaults keep a dead client for minutes."""
    timeout = _milliseconds(config.keepalive_timeout)
    return [
        ("grpc.so_reuseport", int(config.workers > 1)),  # on, a second server would silently share the port
        # On, it counts streams that are done but not yet taken apart: 64 clients, one request after another each, were
        # refused now and then at a limit of 100.
        ("grpc.http.overload_protection", 0),
        ("grpc.max_receive_message_length", config.message_bytes),
        ("grpc.max_send_message_length", config.message_bytes),
        ("grpc.max_concurrent_streams", config.max_streams_per_connection),
        ("grpc.max_allowed_incoming_connections", config.max_connections),
        ("grpc.server_handshake_timeout_ms", 5000),
        ("grpc.keepalive_time_ms", _milliseconds(config.keepalive_time)),
        ("grpc.keepalive_timeout_ms", timeout),
        ("grpc.http2.ping_timeout_ms", timeout),  # one minute else, whatever the keepalive timeout
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_connection_idle_ms", _milliseconds(config.connection_idle)),
        ("grpc.max_connection_age_ms", _milliseconds(config.connection_age)),
        ("grpc.max_connection_age_grace_ms", _milliseconds(config.connection_age_grace)),
        ("grpc.max_metadata_size", 8192),
        ("grpc.absolute_max_metadata_size", 16_384),
    ]


def admin_arguments(config: Config) -> list[tuple[str, int]]:
    """The same with caps of their own: what the models' clients may have says nothing of operators."""
    caps = {
        "grpc.so_reuseport": 0,
        "grpc.max_concurrent_streams": ADMIN_STREAMS,
        "grpc.max_allowed_incoming_connections": ADMIN_CONNECTIONS,
        "grpc.max_receive_message_length": ADMIN_BYTES,
    }
    return [(name, caps.get(name, value)) for name, value in channel_arguments(config)]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
