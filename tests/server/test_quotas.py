"""Shares of clients: what is admitted, when the next one is, and that nobody is remembered for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rhapsode_server.errors import ClientConcurrency, QuotaExceeded
from rhapsode_server.rpc.quotas import ROUNDING, Quotas, Share

RATES = st.floats(0.1, 1000)
UPTIMES = st.floats(0, 1e8)  # seconds, three years: a clock of more of them has no microseconds left to tell
CLIENTS = st.sampled_from(["a", "b", "c"])


def admitted(quotas: Quotas, share: Share, at: float) -> bool:
    try:
        quotas.begin("a", share, at)
    except QuotaExceeded:
        return False
    quotas.end("a", at)
    return True


@given(st.lists(st.floats(0, 5), max_size=60), RATES, st.integers(1, 20))
def test_no_time_has_more_than_its_burst_and_its_rate(gaps: list[float], rate: float, burst: int) -> None:
    quotas, share, now = Quotas(), Share(rate=rate, burst=burst), 0.0
    times = []
    for gap in gaps:
        now += gap
        if admitted(quotas, share, now):
            times.append(now)
    for first, begin in enumerate(times):
        for last, end in enumerate(times[first:], first):
            assert last - first + 1 <= burst + rate * (end - begin) + ROUNDING + 1e-6


@given(UPTIMES, RATES, st.integers(1, 20))
def test_who_waits_as_long_as_it_is_told_is_admitted(now: float, rate: float, burst: int) -> None:
    quotas, share = Quotas(), Share(rate=rate, burst=burst)
    for _ in range(burst):
        quotas.begin("a", share, now)
    with pytest.raises(QuotaExceeded) as caught:
        quotas.begin("a", share, now)
    assert 0 < caught.value.seconds <= 1 / rate + 1e-6
    quotas.begin("a", share, now + caught.value.seconds + 1e-6)


@given(RATES, st.integers(1, 20))
def test_a_rate_that_is_kept_is_never_refused(rate: float, burst: int) -> None:
    quotas, share = Quotas(), Share(rate=rate, burst=burst)
    assert all(admitted(quotas, share, each / rate * (1 + 1e-9)) for each in range(100))


def test_one_clients_share_is_no_others() -> None:
    quotas, share = Quotas(), Share(concurrency=1)
    quotas.begin("a", share, 0)
    with pytest.raises(ClientConcurrency):
        quotas.begin("a", share, 0)
    quotas.begin("b", share, 0)
    quotas.end("a", 1)
    quotas.begin("a", share, 1)
    assert repr(quotas) == "Quotas(2 clients, 2 open)"


def test_a_refusal_spends_nothing() -> None:
    quotas, share = Quotas(), Share(concurrency=1, rate=1, burst=2)
    quotas.begin("a", share, 0)
    for _ in range(10):
        with pytest.raises(ClientConcurrency):
            quotas.begin("a", share, 0)
    quotas.end("a", 0)
    quotas.begin("a", share, 0)  # the second of its burst


def test_a_million_clients_that_call_once_need_little_memory() -> None:
    quotas, share = Quotas(most=1000), Share(rate=0.001, burst=5)
    for host in range(20_000):
        quotas.begin(str(host), share, 0)
        quotas.end(str(host), 0)
    assert len(quotas) <= 1001
    for host in range(2000):
        quotas.begin(f"later {host}", share, 1e9)
        quotas.end(f"later {host}", 2e9)
    assert len(quotas) <= 1


def test_what_is_open_is_never_forgotten() -> None:
    quotas, share = Quotas(most=10), Share(concurrency=1)
    quotas.begin("long", share, 0)
    for host in range(1000):
        quotas.begin(str(host), share, 0)
        quotas.end(str(host), 0)
    with pytest.raises(ClientConcurrency):
        quotas.begin("long", share, 0)


class Accounts(RuleBasedStateMachine):
    """Clients begin and end requests in any order, while time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.quotas = Quotas(most=2)
        self.share = Share(concurrency=3, rate=2, burst=4)
        self.now = 0.0
        self.open: list[str] = []

    @rule(client=CLIENTS)
    def begin(self, client: str) -> None:
        try:
            self.quotas.begin(client, self.share, self.now)
        except ClientConcurrency:
            assert self.open.count(client) == 3
        except QuotaExceeded:
            assert self.open.count(client) < 3
        else:
            self.open.append(client)
        assert self.open.count(client) <= 3

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        self.quotas.end(self.open.pop(data.draw(st.integers(0, len(self.open) - 1))), self.now)

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def counts(self) -> None:
        assert repr(self.quotas).endswith(f"{len(self.open)} open)")


TestAccounts = Accounts.TestCase
