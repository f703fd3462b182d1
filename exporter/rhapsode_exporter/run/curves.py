"""Loss curves of a run as a PNG."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from rhapsode_exporter.run.folder import HistoryRow


def draw_curves(history: Sequence[HistoryRow], path: Path) -> None:
    """Draw every named figure of the history over the steps, one line each; nothing where the history is empty."""
    if not history:
        return
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel="step")
    for name in sorted({name for row in history for name in row.values}):
        points = [(row.step, row.values[name]) for row in history if name in row.values]
        axes.plot(*zip(*points, strict=True), label=name, linewidth=1.2)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path)
