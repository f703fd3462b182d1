"""The plot of a soak: what the server held, over time."""

from pathlib import Path

import matplotlib as mpl
from benchmarks.soak.findings import Findings
from benchmarks.soak.trends import MIB, WARM_UP
from matplotlib.figure import Figure


def draw(findings: Findings, path: Path) -> None:
    """Write it as a PNG file."""
    mpl.use("agg")
    figure = Figure(figsize=(8, 6), layout="constrained")
    memory, counts = figure.subplots(2, 1, sharex=True)
    minutes = [look.at / 60 for look in findings.looks]
    memory.plot(minutes, [look.vitals.memory / MIB for look in findings.looks])
    memory.axvspan(0, WARM_UP * minutes[-1], alpha=0.15)
    found = findings.trends
    title = "" if found is None else f"after the warm-up {found.growth.whole} MiB/min"
    memory.set(ylabel="resident MiB", title=title)
    for name in ("descriptors", "tasks", "slots", "threads"):
        counts.plot(minutes, [getattr(look.vitals, name) for look in findings.looks], label=name)
    counts.set(xlabel="minutes", ylim=(0, None))
    counts.legend()
    figure.savefig(path, dpi=120)
