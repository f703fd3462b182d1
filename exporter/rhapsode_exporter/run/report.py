"""The figures of a model on the terminal."""

from collections.abc import Iterable

from rich.console import Console

from rhapsode.v1.bundle_pb2 import Metric


def say(console: Console, text: str) -> None:
    """A line as it stands: not coloured, not wrapped."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def say_figures(console: Console, metrics: Iterable[Metric]) -> None:
    """A line for each figure, with what it is to be compared with."""
    for metric in metrics:
        beside = f"  ({metric.baseline_name}: {metric.baseline:.4g})" if metric.HasField("baseline") else ""
        say(console, f"{metric.name}  {metric.value:.4g}{beside}")
