"""What a second worker adds is reckoned rightly, of what is measured on real servers."""

from pathlib import Path

import pytest
from benchmarks.cases import Case
from benchmarks.workers import Taken, measure
from deploy.local_server import running_server

from support import bundles

TEXT = Case("text", "text", "tiny-text", requests=4, items=5)


def test_what_others_take_does_not_count_and_what_lies_idle_does() -> None:
    one = Taken(1, 100, wall=2.0, server=0.8, client=0.5, idle=0.2)
    two = Taken(2, 180, wall=2.0, server=1.5, client=1.0, idle=0.5)
    assert (one.raw, one.adjusted) == (50, 100)
    assert two.adjusted == 180


@pytest.mark.parametrize("workers", [1, 2])
async def test_all_processes_of_a_server_are_measured(tmp_path: Path, workers: int) -> None:
    bundles.stepper().write(tmp_path)
    flags = ("--provider=cpu", "--threads=1", f"--workers={workers}")
    with running_server(tmp_path, tmp_path / "log", *flags) as server:
        taken = await measure(server, workers, TEXT, 0.2, {0})
    assert taken.items >= TEXT.total
    assert min(taken.wall, taken.server, taken.client) > 0
    assert taken.idle >= 0
