"""The plots of a run."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from benchmarks.plan import ARRIVALS, PROMPTS, STREAMS
from benchmarks.rounds import Round
from benchmarks.spread import Spread, spread
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def draw(rounds: Sequence[Round], out: Path) -> tuple[Path, ...]:
    """Write the three plots as PNG files; their paths."""
    mpl.use("agg")
    plots = {"streams": _streams, "prompts": _prompts, "arrivals": _arrivals}
    paths = []
    for name, plot in plots.items():
        figure = Figure(figsize=(8, 4), layout="constrained")
        plot(figure, rounds)
        paths.append(out / f"bench-{name}.png")
        figure.savefig(paths[-1], dpi=120)
    return tuple(paths)


def _streams(figure: Figure, rounds: Sequence[Round]) -> None:
    """Throughput and CPU a token over streams at once."""
    speed, cost = figure.subplots(1, 2)
    counts = [case.requests for case in STREAMS]
    taken = [[one.of(case.name, "served") for one in rounds] for case in STREAMS]
    _line(speed, counts, [spread([one.items / one.wall_seconds for one in group]) for group in taken], "server")
    _line(cost, counts, [spread([one.cpu_per_item * 1e6 for one in group]) for group in taken], "server")
    client = [spread([one.client_cpu_seconds / one.items * 1e6 for one in group]) for group in taken]
    _line(cost, counts, client, "client")
    fused = [case for case in STREAMS if case.requests <= 64]
    limits = [spread([one.of(case.name, "fused").cpu_per_item * 1e6 for one in rounds]) for case in fused]
    _line(cost, [case.requests for case in fused], limits, "fused loop in process")
    for axes, title in ((speed, "tokens/s"), (cost, "CPU µs/token")):
        axes.set(title=title, xlabel="streams at once", xscale="log", ylim=(0, None))
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.legend()


def _prompts(figure: Figure, rounds: Sequence[Round]) -> None:
    """Time to the first token over the length of the prompt."""
    axes = figure.subplots()
    taken = [spread([one.of(case.name, "served").first_seconds * 1e3 for one in rounds]) for case in PROMPTS]
    _line(axes, [case.prompt for case in PROMPTS], taken, "idle server")
    axes.set(xlabel="tokens in the prompt", ylabel="ms to the first token", xscale="log", yscale="log")
    axes.legend()


def _arrivals(figure: Figure, rounds: Sequence[Round]) -> None:
    """How many of the randomly arriving requests have their first token after a time."""
    axes = figure.subplots()
    for case in ARRIVALS:
        firsts = sorted(first * 1e3 for one in rounds for first in one.of(case.name, "served").firsts)
        axes.plot(firsts, [(place + 1) / len(firsts) for place in range(len(firsts))], label=case.name)
    axes.set(xlabel="ms to the first token", ylabel="share of requests", ylim=(0, 1))
    axes.legend()


def _line(axes: Axes, places: Sequence[int], values: Sequence[Spread], label: str) -> None:
    middle = [one.middle for one in values]
    below = [one.middle - one.low for one in values]
    above = [one.high - one.middle for one in values]
    axes.errorbar(places, middle, yerr=[below, above], marker="o", capsize=3, label=label)
