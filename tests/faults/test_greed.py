"""A client that asks as fast as it can is held to its share, and a polite one never notices."""

import asyncio
import time
from pathlib import Path

from benchmarks.abuse.greed import Asked, Asking

from support import bundles
from support.access import entry, write
from support.server import load, running

SECONDS = 0.5
GREEDY = 60


async def test_the_polite_are_served_beside_a_flood(tmp_path: Path) -> None:
    bundles.stepper().write(tmp_path / "models")
    access = write(tmp_path / "access.toml", entry("greedy", "greedy"), entry("polite", "polite"))
    async with running(load(tmp_path / "models"), access=access, client_concurrency=4) as server:

        async def ask(token: str, under_way: int, pause: float) -> Asked:
            now = time.monotonic()
            return await Asking(server.address, token, "tiny-text").ask(under_way, pause, now, now + SECONDS)

        greedy, polite = await asyncio.gather(ask("greedy", GREEDY, 0), ask("polite", 1, 0.01))
    assert greedy.refused > 0
    assert (polite.refused, polite.failures, greedy.failures) == (0, (), ())
    assert polite.served > 0
