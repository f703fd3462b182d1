"""Ten times the load that a server can bear: what becomes of the accepted, of the refused, of probes."""

import argparse
import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop
from benchmarks.abuse.open_loop import Answers, Generator, generator, probed
from benchmarks.abuse.promise import Promise, at_least, at_most, exactly, told
from benchmarks.cost import cpu_seconds, processor
from benchmarks.spread import percentile
from deploy.local_server import LocalServer, running_server

MODEL = "shakespeare-rnn"
TOKENS = 256
CLIENTS = 64  # of the closed loop that finds the peak: as many as a run has rows
PEAK_SECONDS = 10.0
STEADY_SECONDS = 30.0
OVERLOAD_SECONDS = 60.0
STEADY, OVERLOAD = 0.7, 10.0  # of the peak


@dataclass(frozen=True, slots=True)
class Overload:
    """What was measured; times are seconds, loads are multiples of the peak."""

    peak_tokens_per_second: float
    goodput_tokens_per_second: float
    """At ten times the peak."""
    offered_per_second: float
    """Requests, at ten times the peak."""
    sent_per_second: float
    """What of them was really sent."""
    accepted: int
    refused: int
    other: tuple[str, ...]
    """Statuses that are neither, at all three loads."""
    steady_p50: float
    steady_p99: float
    steady_accepted: int
    steady_refused: int
    accepted_p50: float
    accepted_p99: float
    refusal_p50: float
    refusal_p99: float
    health_p99: float
    health_max: float
    server_cpu_seconds: float
    """During the overload."""
    generator_cpu_seconds: float
    seconds: float
    """That the overload lasted."""

    def promises(self) -> Iterator[Promise]:
        """What a server at ten times its load promises to those whom it serves, and to those whom it refuses."""
        yield told("peak", self.peak_tokens_per_second, "tokens/s")
        yield told("requests sent at ten times the peak's load, share of that", self.sent_share)
        yield at_least("goodput at ten times the peak's load, share of the peak", self.goodput_share, 0.9)
        yield at_most("refusal, median", 1000 * self.refusal_p50, 10, "ms")
        yield at_most("accepted requests' p99, times that at 70 % load", self.stretch, 2)
        yield told("accepted requests' p99", 1000 * self.accepted_p99, "ms")
        yield at_most("health check, slowest", 1000 * self.health_max, 50, "ms")
        yield exactly("statuses that are neither OK nor a refusal that says when to come again", len(self.other), 0)
        yield told("refused at 70 % load, of all", self.steady_share)
        yield told("the generator's share of the two cores", self.generator_cpu_seconds / self.seconds / 2)

    @property
    def steady_share(self) -> float:
        """Requests refused at 70 % load, as a share of all that came."""
        return self.steady_refused / max(1, self.steady_refused + self.steady_accepted)

    @property
    def sent_share(self) -> float:
        """What was really sent under ten times the load, as a share of that."""
        return self.sent_per_second / self.offered_per_second

    @property
    def goodput_share(self) -> float:
        """Goodput under ten times the load, as a share of the peak."""
        return self.goodput_tokens_per_second / self.peak_tokens_per_second

    @property
    def stretch(self) -> float:
        """How many times as long as at 70 % load the slowest of a hundred accepted requests take."""
        return self.accepted_p99 / self.steady_p99


async def run(scale: float) -> Overload:
    """Measure a server whose model has one core of two; a scale of 1 takes 100 s.

    The other one refuses, and asks: with both, the model loses to the refusals what it had gained.
    """
    return await overload(scale, flags=("--threads=1",))


async def overload(scale: float, models: Path = Path("models"), flags: Sequence[str] = ()) -> Overload:
    """Measure a server of its own. Flags come on top of the server's defaults."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _only(models / MODEL) as one,
        running_server(one, Path(folder) / "server.log", *flags) as server,
    ):
        return await measure(server, scale)


async def measure(server: LocalServer, scale: float, model: str = MODEL, tokens: int = TOKENS) -> Overload:
    """Find the peak, then load the server with 70 % of it, then with ten times as much."""
    async with generator(server.address, model, tokens, seed=7) as sender:
        await sender.closed(CLIENTS, scale * PEAK_SECONDS / 4)  # warms up
        peak = await sender.closed(CLIENTS, scale * PEAK_SECONDS)
        rate = peak.rate(scale * PEAK_SECONDS)
        steady = await sender.open(STEADY * rate, scale * STEADY_SECONDS)
        async with probed(server.address) as probes:
            return await _overload(server, sender, _Before(peak, steady, rate, tokens), scale, probes)


@dataclass(frozen=True, slots=True)
class _Before:
    """What is known when the overload begins."""

    peak: Answers
    steady: Answers
    rate: float
    tokens: int


async def _overload(
    server: LocalServer, sender: Generator, before: _Before, scale: float, probes: Sequence[float]
) -> Overload:
    seconds = scale * OVERLOAD_SECONDS
    server_cpu, own_cpu, began = cpu_seconds(server.process_id), time.process_time(), time.perf_counter()
    answers = await sender.open(OVERLOAD * before.rate, seconds)
    return Overload(
        peak_tokens_per_second=before.rate * before.tokens,
        goodput_tokens_per_second=answers.rate(seconds) * before.tokens,
        offered_per_second=OVERLOAD * before.rate,
        sent_per_second=answers.ended / seconds,
        accepted=len(answers.accepted),
        refused=len(answers.refused),
        other=(*before.peak.other, *before.steady.other, *answers.other),
        steady_p50=_percentile(before.steady.accepted, 0.5),
        steady_p99=_percentile(before.steady.accepted, 0.99),
        steady_accepted=len(before.steady.accepted),
        steady_refused=len(before.steady.refused),
        accepted_p50=_percentile(answers.accepted, 0.5),
        accepted_p99=_percentile(answers.accepted, 0.99),
        refusal_p50=_percentile(answers.refused, 0.5),
        refusal_p99=_percentile(answers.refused, 0.99),
        health_p99=_percentile(probes, 0.99),
        health_max=max(probes),
        server_cpu_seconds=cpu_seconds(server.process_id) - server_cpu,
        generator_cpu_seconds=time.process_time() - own_cpu,
        seconds=time.perf_counter() - began,
    )


def _percentile(values: Sequence[float], share: float) -> float:
    return percentile(values, share) if values else math.nan


@contextmanager
def _only(model: Path) -> Iterator[Path]:
    """A folder of one model, since servers load all that there are."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(model, Path(folder) / model.name)
        yield Path(folder)


def main() -> None:
    """Measure, and print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1 for 100 seconds, 0.1 for ten")
    parser.add_argument("--models", type=Path, default=Path("models"))
    given, flags = parser.parse_known_args()
    found = uvloop.run(overload(given.scale, given.models, flags))
    print(processor())
    for name, value in asdict(found).items():
        print(f"{name:30} {value:.4f}" if isinstance(value, float) else f"{name:30} {value}")
    print(f"{'goodput_share':30} {found.goodput_share:.3f}\n{'stretch':30} {found.stretch:.2f}")


if __name__ == "__main__":
    main()
