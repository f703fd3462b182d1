"""The client says who it is, never to everybody on the way, and waits for its share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rhapsode_client import (
    AsyncClient,
    ChannelSettings,
    Client,
    InvalidRequest,
    NotAuthenticated,
    PermissionDenied,
    QuotaExceeded,
    Tls,
)
from rhapsode_client.addresses import Address, target_of
from rhapsode_client.retry import Attempts, RetryPolicy
from support import bundles
from support.access import entry, write
from support.server import Process, process

SECRET = "s3cret-token"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    models = tmp_path_factory.mktemp("models")
    bundles.stepper().write(models)
    access = write(
        tmp_path_factory.mktemp("access") / "access.toml",
        entry("ours", SECRET),
        entry("listing", "listing", methods=["rhapsode.v1.ModelService/ListModels"]),
        entry("slow", "slow", rate=20, burst=1),
        entry("slower", "slower", rate=0.01, burst=1),
    )
    with process(models, "--access", access) as started:
        yield started


def test_a_token_goes_with_calls_and_streams(server: Process) -> None:
    tokens = iter([SECRET] * 2)
    with Client(server.address, ChannelSettings(token=lambda: next(tokens))) as client:
        assert client.models()
        assert list(client.stream_text("tiny-text", "a", max_tokens=3))
    assert next(tokens, None) is None


async def test_a_token_goes_with_calls_and_streams_of_asyncio(server: Process) -> None:
    async with AsyncClient(server.address, ChannelSettings(token=SECRET)) as client:
        assert await client.models()
        assert [chunk async for chunk in client.stream_text("tiny-text", "a", max_tokens=3)]


@pytest.mark.parametrize("token", [None, "wrong"])
def test_without_one_that_is_valid_access_is_denied(server: Process, token: str | None) -> None:
    with Client(server.address, ChannelSettings(token=token)) as client:
        with pytest.raises(NotAuthenticated) as caught:
            client.models()
        with pytest.raises(NotAuthenticated):
            list(client.stream_text("tiny-text"))
    assert (caught.value.reason, caught.value.retryable) == ("UNAUTHENTICATED", False)


def test_what_a_credential_does_not_allow_is_told_apart(server: Process) -> None:
    with Client(server.address, ChannelSettings(token="listing")) as client, pytest.raises(PermissionDenied):
        client.model("tiny-text")


def test_a_share_that_comes_back_soon_is_waited_for(server: Process) -> None:
    with Client(server.address, ChannelSettings(token="slow")) as client:
        assert [client.models(timeout=60) for _ in range(4)]
        assert list(client.stream_text("tiny-text", "a", max_tokens=3, timeout=60))


async def test_a_share_that_comes_back_soon_is_waited_for_by_asyncio(server: Process) -> None:
    async with AsyncClient(server.address, ChannelSettings(token="slow")) as client:
        assert [await client.models(timeout=60) for _ in range(4)]


def test_a_share_that_comes_back_late_is_told(server: Process) -> None:
    with Client(server.address, ChannelSettings(token="slower")) as client:
        client.models()
        with pytest.raises(QuotaExceeded) as caught:
            client.models()
    assert caught.value.retry_delay == pytest.approx(100, abs=20)
    assert caught.value.retryable


def refusals(delay: float, deadline: float | None, attempts: int) -> Iterator[float]:
    """The waits after refusals, until one is raised."""
    policy = RetryPolicy(attempts=attempts)
    counted = Attempts(policy, policy, deadline, lambda: 1.0)
    while True:
        error = QuotaExceeded("m", retry_delay=delay, retryable=True)
        try:
            yield counted.delay_after(error, 0.0, begun=False)
        except QuotaExceeded:
            return


@pytest.mark.parametrize(
    ("delay", "deadline", "waits"),
    [(1.0, None, [1.2, 1.2]), (1.0, 1.1, []), (9.0, None, []), (8.0, 10.0, [9.6, 9.6]), (100.0, None, [])],
)
def test_nobody_waits_in_vain(delay: float, deadline: float | None, waits: list[float]) -> None:
    assert list(refusals(delay, deadline, attempts=3)) == pytest.approx(waits)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("unix:/run/x", True),
        ("unix-abstract:x", True),
        (["127.0.0.1:1", "127.0.0.2:2"], True),
        ("dns:///localhost:1", True),
        ("dns://192.0.2.1/localhost:1", False),
        ("xds:///localhost:1", False),
        (["127.0.0.1:1", "192.0.2.1:1"], False),
        ("192.0.2.1:1", False),
        ("localhost.example.org:1", False),
        ("0.0.0.0:1", False),
    ],
)
def test_a_token_is_not_sent_in_plain_text_to_another_machine(address: Address, local: bool) -> None:
    assert target_of(address).local == local
    if local:
        Client(address, ChannelSettings(token=SECRET)).close()
    else:
        with pytest.raises(InvalidRequest, match="plain text"):
            Client(address, ChannelSettings(token=SECRET))
        Client(address, ChannelSettings(token=SECRET, tls=Tls())).close()
        Client(address, ChannelSettings(token=SECRET, plain_text_token=True)).close()


@pytest.mark.parametrize("token", ["", "two words", "a\nline", "é"])
def test_what_cannot_be_a_token_is_not_repeated(token: str, tmp_path: Path) -> None:
    with (
        Client(f"unix:{tmp_path}/nobody", ChannelSettings(token=lambda: token)) as client,
        pytest.raises(InvalidRequest) as caught,
    ):
        client.models()
    assert caught.value.field_violations[0].field == "token"
    assert not token or token not in caught.value.message


def test_a_token_is_never_shown() -> None:
    assert SECRET not in repr(ChannelSettings(token=SECRET))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TraceParent", "x"),
        ("with space", "x"),
        ("", "x"),
        ("é", "x"),
        ("text-bin", "x"),
        ("text", b"x"),
        ("text", "two\nlines"),
        ("text", "é"),
    ],
)
async def test_metadata_that_cannot_be_sent_is_the_callers_error(tmp_path: Path, name: str, value: str | bytes) -> None:
    settings = ChannelSettings(metadata=lambda: [(name, value)])
    with Client(f"unix:{tmp_path}/nobody", settings) as client:
        with pytest.raises(InvalidRequest, match="metadata"):
            client.models()
        with pytest.raises(InvalidRequest, match="metadata"):
            list(client.stream_text("m"))
    async with AsyncClient(f"unix:{tmp_path}/nobody", settings) as client_too:
        with pytest.raises(InvalidRequest, match="metadata"):
            await client_too.models()


def test_two_credentials_are_one_too_many(tmp_path: Path) -> None:
    settings = ChannelSettings(token=SECRET, metadata=lambda: [("authorization", "Basic x")])
    with Client(f"unix:{tmp_path}/nobody", settings) as client, pytest.raises(InvalidRequest, match="beside a token"):
        client.models()
