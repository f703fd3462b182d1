"""How many tunes in ABC a program of music can read, with how many in time."""

from collections.abc import Sequence
from dataclasses import dataclass

from rhapsode.v1.bundle_pb2 import Metric
from rhapsode_exporter.data.abc_line import to_abc
from rhapsode_exporter.judge.abc_bars import bars_filled
from rhapsode_exporter.judge.abc_reading import read_abc


@dataclass(frozen=True, slots=True)
class Shares:
    """Of a number of tunes: the share that parses, and the share of which every bar is filled."""

    parsed: float
    filled: float


def shares(lines: Sequence[str]) -> Shares:
    """Judge tunes that stand on a line each, at least one, by `read_abc` and `bars_filled`."""
    read = [handler for line in lines if (tune := _abc(line)) and (handler := read_abc(tune))]
    return Shares(len(read) / len(lines), sum(map(bars_filled, read)) / len(lines))


def figures(lines: Sequence[str], corpus_lines: Sequence[str]) -> tuple[Metric, ...]:
    """The shares of generated tunes beside those of real ones. At least one of each; no order matters."""
    made, real = shares(lines), shares(corpus_lines)
    beside = f"{len(corpus_lines)} real tunes"
    return (
        Metric(
            name="parsed_share",
            value=made.parsed,
            higher_is_better=True,
            baseline=real.parsed,
            baseline_name=beside,
            description=f"share of {len(lines)} generated tunes that music21 reads as ABC, no sign passed over",
        ),
        Metric(
            name="bars_filled_share",
            value=made.filled,
            higher_is_better=True,
            baseline=real.filled,
            baseline_name=beside,
            description=f"share of {len(lines)} generated tunes whose every bar lasts as long as the metre says, a "
            "pickup apart and a bar that a repeat or a double bar line cuts in two put together",
        ),
    )


def _abc(line: str) -> str | None:
    try:
        return to_abc(line)
    except ValueError:
        return None
