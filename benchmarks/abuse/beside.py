"""An attack beside a good client, and what both left behind."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from benchmarks.abuse.good import Served, good_client
from benchmarks.abuse.leftover import PATIENCE, Leftover, leftover
from benchmarks.abuse.victim import TEXT, Victim

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Beside(Generic[ResultT]):
    """What the attack gave back, how the good client fared meanwhile, and what the server still holds."""

    value: ResultT
    good: Served
    left: Leftover


def beside(
    server: Victim,
    attack: Callable[[], ResultT],
    warm_up: Callable[[], object] = lambda: None,
    model: str = TEXT,
    patience: float = PATIENCE,
    retries: bool = False,
) -> Beside[ResultT]:
    """Attack a server that was warmed up before it was looked at; it then has so many seconds to get over it.

    The client beside it may have the retry policy of our library.
    """
    with good_client(server.address, model):
        warm_up()
    before = server.patient.until(lambda vitals: vitals.idle, PATIENCE)
    _forget_peak(server.pid)
    with good_client(server.address, model, retries) as good:
        value = attack()
    peak = _peak(server.pid)
    return Beside(value, good.served(), leftover(server.patient, before, peak, patience))


def _forget_peak(pid: int) -> None:
    """Have the kernel measure the most memory of a process from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
