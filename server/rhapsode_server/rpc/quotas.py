"""How much of the server each client has: requests under way, and those that it may still send.

No clock and no waiting: times are given, in seconds of a clock that never goes back. A rate is kept as one number, the
time at which the client would have its whole burst again (the generic cell rate algorithm), so that a client which has
it again needs no memory at all.
"""

from dataclasses import dataclass

from rhapsode_server.errors import ClientConcurrency, QuotaExceeded

MOST = 100_000  # clients without requests under way that are remembered
LOOKS = 4  # of the clients that asked longest ago, at how many each request looks
ROUNDING = 0.001  # of a request, that sums of fractions may seem to lack
ANOTHER_TRY = 1.0  # seconds; when a request under way ends, nobody knows


@dataclass(frozen=True, slots=True)
class Share:
    """What one client may have; 0 requests at a time, or 0 a second, is no limit."""

    concurrency: int = 0
    rate: float = 0.0
    burst: int = 1

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return bool(self.concurrency or self.rate)


@dataclass(slots=True)
class _Account:
    open: int = 0
    whole: float = 0.0
    """When the burst is whole again."""


class Quotas:
    """The accounts of all clients that have something open or spent, by name; those that asked last stand last."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._accounts: dict[str, _Account] = {}

    def __len__(self) -> int:
        return len(self._accounts)

    def __repr__(self) -> str:
        """Say how many clients it remembers, and what they have under way."""
        return f"Quotas({len(self)} clients, {sum(each.open for each in self._accounts.values())} open)"

    def begin(self, client: str, share: Share, now: float) -> None:
        """Begin a request, whose end must be told. Raises ClientConcurrency or QuotaExceeded, with nothing spent."""
        account = self._accounts.get(client) or _Account()
        if share.concurrency and account.open >= share.concurrency:
            message = f"this client has {share.concurrency} requests under way, as many as it may"
            raise ClientConcurrency(message, ANOTHER_TRY, {"limit": str(share.concurrency)})
        if share.rate:
            account.whole = _spent(account.whole, share, now)
        account.open += 1
        self._accounts.pop(client, None)
        self._accounts[client] = account
        self._forget(now)

    def spend(self, client: str, share: Share, now: float) -> None:
        """Send one more in the place of a request that is open. Raises QuotaExceeded, with nothing spent."""
        account = self._accounts[client]
        if share.rate:
            account.whole = _spent(account.whole, share, now)

    def end(self, client: str, now: float) -> None:
        """End a request that was begun."""
        account = self._accounts[client]
        account.open -= 1
        if not account.open and account.whole <= now:
            del self._accounts[client]

    def _forget(self, now: float) -> None:
        """Forget some that have nothing open, and their whole burst again or, in a crowd, asked longest ago."""
        for client in [name for name, _ in zip(self._accounts, range(LOOKS), strict=False)]:
            account = self._accounts[client]
            if account.open:
                self._accounts[client] = self._accounts.pop(client)
            elif account.whole <= now or len(self._accounts) > self._most:
                del self._accounts[client]


def _spent(whole: float, share: Share, now: float) -> float:
    """When the burst is whole again once one more request is sent now. Raises QuotaExceeded where none is left."""
    each = 1 / share.rate
    wait = whole - (share.burst - 1) * each - now
    if wait > ROUNDING * each:
        message = f"this client may send {share.rate:g} requests a second, {share.burst} at once"
        raise QuotaExceeded(message, wait, {"rate": f"{share.rate:g}", "burst": str(share.burst)})
    return max(whole, now) + each
