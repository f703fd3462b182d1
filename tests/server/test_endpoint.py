"""The HTTP endpoint answers every kind of scraper, and the slow ones do not keep others from it."""

import gzip
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

from rhapsode_server.errors import ConfigError
from rhapsode_server.observe.endpoint import MOST_CONNECTIONS, Endpoint, open_endpoint

AS_PROMETHEUS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("works", "Works.", ["kind"], registry=registry).labels("ode").set(3)
    return registry


@pytest.fixture
def endpoint(registry: CollectorRegistry) -> Iterator[Endpoint]:
    opened = open_endpoint("127.0.0.1:0", registry)
    yield opened
    opened.close()


def ask(endpoint: Endpoint, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    """An answer to a request whose headers are named with underscores."""
    connection = HTTPConnection(endpoint.address, timeout=30)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply, body


def connect(endpoint: Endpoint) -> socket.socket:
    """A connection that has said nothing yet."""
    host, _, port = endpoint.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def cut(connection: socket.socket) -> bool:
    """Whether the other side has ended a connection, without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/", "/metrics", "/metrics?name[]=works"])
def test_the_page_is_plain_text(endpoint: Endpoint, registry: CollectorRegistry, path: str) -> None:
    reply, body = ask(endpoint, path)
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert reply.headers["Age"] == "0"
    assert body == generate_latest(registry)
    assert [family.name for family in plain(body.decode())] == ["works"]


def test_the_page_is_open_metrics_for_those_who_ask(endpoint: Endpoint) -> None:
    reply, body = ask(endpoint, Accept=AS_PROMETHEUS)
    assert reply.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert body.endswith(b"# EOF\n")
    assert [family.name for family in open_metrics(body.decode())] == ["works"]  # type: ignore[no-untyped-call]


def test_the_page_is_packed_for_those_who_ask(endpoint: Endpoint, registry: CollectorRegistry) -> None:

    reply, body = ask(endpoint, Accept_Encoding="deflate, gzip;q=0.5")
    assert reply.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == generate_latest(registry)


@pytest.mark.parametrize(
    "accepted", ["", "gzip;q=0", "identity", "gzip; q=0.000, *", "*;q=0", "gzipped", "gzip;q=a", "gzip;level=1"]
)
def test_the_page_is_not_packed_for_those_who_do_not(endpoint: Endpoint, accepted: str) -> None:
    reply, body = ask(endpoint, Accept_Encoding=accepted)
    assert reply.headers["Content-Encoding"] is None
    assert body.startswith(b"# HELP")


@pytest.mark.parametrize("accepted", ["gzip", "GZIP ; Q=1", "br, *", "identity;q=0,gzip;q=0.001"])
def test_however_they_ask(endpoint: Endpoint, accepted: str) -> None:
    assert ask(endpoint, Accept_Encoding=accepted)[0].headers["Content-Encoding"] == "gzip"


def test_a_head_is_a_get_without_the_page(endpoint: Endpoint) -> None:
    reply, body = ask(endpoint, method="HEAD")
    assert (reply.status, body) == (200, b"")
    assert reply.headers["Content-Length"] == ask(endpoint)[0].headers["Content-Length"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/favicon.ico", 404), ("HEAD", "/nothing", 404), ("GET", "/metrics/more", 404), ("POST", "/metrics", 501)],
)
def test_there_is_nothing_else(endpoint: Endpoint, method: str, path: str, status: int) -> None:
    assert ask(endpoint, path, method)[0].status == status


@pytest.mark.parametrize("said", [b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nAccept: text/p"])
def test_scrapers_that_hang_do_not_keep_others_from_the_page(endpoint: Endpoint, said: bytes) -> None:
    hung = [connect(endpoint) for _ in range(3 * MOST_CONNECTIONS)]
    for each in hung:
        try:
            each.sendall(said)
        except OSError:
            continue  # cut already
    assert ask(endpoint)[0].status == 200
    assert cut(hung[0])
    for each in hung:
        each.close()


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00", b"nonsense\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"x" * 70_000])
def test_nonsense_is_answered_or_cut(endpoint: Endpoint, said: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with connect(endpoint) as client:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        assert b"works" not in client.recv(100)
    assert ask(endpoint)[0].status == 200
    assert capfd.readouterr().err == ""


def test_a_client_that_leaves_early_is_no_news(endpoint: Endpoint, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        with connect(endpoint) as client:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    assert ask(endpoint)[0].status == 200
    assert capfd.readouterr().err == ""


def test_a_closed_endpoint_is_gone(registry: CollectorRegistry) -> None:
    opened = open_endpoint("127.0.0.1:0", registry)
    waiting = connect(opened)
    opened.close()
    assert cut(waiting)
    with pytest.raises(OSError, match="refused"):
        connect(opened)


def test_it_listens_on_ipv6(registry: CollectorRegistry) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")
    opened = open_endpoint("[::1]:0", registry)
    assert opened.address.startswith("[::1]:")
    assert ask(opened)[0].status == 200
    opened.close()


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "198.51.100.1:0", "127.0.0.1:x", ":x"])
def test_an_address_that_cannot_be_had(registry: CollectorRegistry, address: str) -> None:
    with pytest.raises(ConfigError, match=f"--metrics-address {address} cannot be listened on"):
        open_endpoint(address, registry)


def test_a_port_that_is_taken(endpoint: Endpoint, registry: CollectorRegistry) -> None:
    with pytest.raises(ConfigError, match="in use"):
        open_endpoint(endpoint.address, registry)
