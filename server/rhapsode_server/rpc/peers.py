"""What a connection says of who is at its other end."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import unquote

import grpc

_NETWORK = 64  # bits of an IPv6 address that an owner of one cannot choose


def certificate_names(context: "grpc.aio.ServicerContext[Any, Any]") -> Sequence[str]:
    """The names in the client's certificate: URIs, then DNS names; the common name only where it has no other."""
    shown = context.auth_context()
    names = [*shown.get("peer_uri", ()), *shown.get("peer_dns", ())]
    if not shown.get("x509_subject_alternative_name"):
        names += shown.get("x509_common_name", ())
    return [str(name, "utf-8", "replace") for name in names]


def stranger(context: "grpc.aio.ServicerContext[Any, Any]") -> str:
    """What tells a client from others where there are no rules: its certificate's first name, or where it calls from.

    "host 192.0.2.7", "host 2001:db8::/64", "socket" for all that call on a unix socket: nothing tells them apart.
    """
    names = certificate_names(context)
    return f"certificate {names[0]}" if names else place(context.peer())


def place(peer: str) -> str:
    """The same for gRPC's word for a peer, "ipv4:192.0.2.7:4711" or "ipv6:%5B2001:db8::1%5D:4711"."""
    kind, _, rest = peer.partition(":")
    return _network(rest.rpartition(":")[0]) if kind.startswith("ip") else "socket"


@lru_cache(4096)
def _network(quoted: str) -> str:
    host = unquote(quoted).strip("[]").partition("%")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return f"host {host}"
    if isinstance(address, IPv6Address):
        return f"host {address.ipv4_mapped or ip_network((address, _NETWORK), strict=False)}"
    return f"host {address}"
