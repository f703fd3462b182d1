"""How a server is named, or several of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeAlias

from rhapsode_client.errors import FieldViolation, InvalidRequest

Address: TypeAlias = str | Sequence[str]
"""A gRPC target ("host:port", "dns:///name:port", "unix:path"), or "ip:port" of several servers: a sequence of them, or
one string with commas."""

_LISTS = ("ipv4:", "ipv6:")
_PATHS = ("unix:", "unix-abstract:")  # whose commas are a path's
_RULE = 'must be "ip:port" for each of several servers; servers with names are given one name, as in "dns:///name:port"'


@dataclass(frozen=True, slots=True)
class Target:
    """What gRPC connects to. `several` where it may be more than one server, each of which is told apart."""

    name: str
    several: bool

    @property
    def local(self) -> bool:
        """Whether nobody else's machine is on the way: all of it are sockets, or addresses of this machine's loop."""
        if self.name.startswith(_PATHS):
            return True
        scheme = next((scheme for scheme in ("dns:///", "dns:", *_LISTS) if self.name.startswith(scheme)), "")
        hosts = self.name.removeprefix(scheme)
        return all(_is_loopback(word.rpartition(":")[0].strip("[]")) for word in hosts.split(","))


def target_of(address: Address) -> Target:
    """The target of an address. Raises InvalidRequest for a list that is not one of IP addresses of one kind."""
    words = _split(address) if isinstance(address, str) else list(address)
    if isinstance(address, str) and (address.startswith(_LISTS) or len(words) == 1):
        # A plain host:port may be a balancer's, behind which nobody can tell servers apart; dns:/// asks for all.
        return Target(address, several=len(words) > 1 or address.startswith("dns:"))
    if len(words) == 1:
        return target_of(words[0])
    kinds = {_version(word.strip()) for word in words}
    if len(kinds) != 1:
        raise _refusal()
    return Target(f"ipv{kinds.pop()}:{','.join(word.strip() for word in words)}", several=True)


def one_server(address: str) -> str:
    """`address`, if it names one server and no more. Raises InvalidRequest."""
    if target_of(address).several:
        rule = 'must be one server\'s, "host:port" or "unix:path": each server is administered by itself'
        raise InvalidRequest(f"address {rule}", field_violations=(FieldViolation("address", rule),))
    return address


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _split(address: str) -> list[str]:
    return [address] if address.startswith(_PATHS) else address.split(",")


def _version(word: str) -> int:
    host, _, port = word.rpartition(":")
    try:
        version = ip_address(host.removeprefix("[").removesuffix("]")).version
    except ValueError:
        raise _refusal() from None
    if not port.isdecimal() or host.startswith("[") != (version == 6):
        raise _refusal()
    return version


def _refusal() -> InvalidRequest:
    return InvalidRequest(f"address {_RULE}", field_violations=(FieldViolation("address", _RULE),))
