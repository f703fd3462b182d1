"""A port that processes of one server share, and nobody else gets."""

import socket
from contextlib import closing

import grpc
import pytest

from rhapsode_server.errors import ConfigError
from rhapsode_server.serve.port import Reservation

HOSTS = ["127.0.0.1", "0.0.0.0", "[::]", "localhost", "[::1]"]  # noqa: S104


def reserve(address: str) -> Reservation:
    try:
        return Reservation(address)
    except ConfigError as error:
        if "[::1]" in address and "assign" in error.message:
            pytest.skip("no IPv6 here")
        raise


def bound(address: str, share: int) -> grpc.aio.Server:
    """A server of gRPC that listens, as a worker's does."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", share)])
    server.add_insecure_port(address)
    return server


@pytest.mark.parametrize("host", HOSTS)
async def test_those_that_share_listen_and_others_cannot(host: str) -> None:
    with closing(reserve(f"{host}:0")) as port:
        with pytest.raises(ConfigError, match="in use"):
            Reservation(port.address)  # nobody listens yet
        workers = [bound(port.address, share=1) for _ in range(2)]
        for worker in workers:
            await worker.start()
        with pytest.raises(RuntimeError):
            bound(port.address, share=0)
        with pytest.raises(ConfigError, match="in use"):
            Reservation(port.address)
        async with grpc.aio.insecure_channel(port.address) as channel:
            await channel.channel_ready()
        for worker in workers:
            await worker.stop(None)
        with pytest.raises(ConfigError, match="in use"):
            Reservation(port.address)  # nobody listens any more
    with closing(Reservation(port.address)) as again:
        assert again.address == port.address


def test_nobody_is_accepted_before_somebody_listens() -> None:
    with closing(Reservation("127.0.0.1:0")) as port, socket.socket() as client:
        host, _, number = port.address.rpartition(":")
        assert client.connect_ex((host, int(number))) != 0


def test_an_address_where_somebody_listens_is_a_wrong_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"address {address} cannot be listened on: Address already in use"):
            Reservation(address)


def test_connections_of_an_earlier_server_do_not_stand_in_the_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as earlier:
        place = earlier.getsockname()
        with socket.create_connection(place) as client, earlier.accept()[0] as accepted:
            accepted.close()  # the side that closes first lingers
            assert client.recv(1) == b""
    with closing(Reservation(f"127.0.0.1:{place[1]}")) as port:
        assert port.address == f"127.0.0.1:{place[1]}"


@pytest.mark.parametrize("address", ["192.0.2.1:0", "not..a-host:0"])
def test_a_place_that_is_not_here_is_a_wrong_option(address: str) -> None:
    with pytest.raises(ConfigError, match=f"address {address} cannot be listened on"):
        Reservation(address)
