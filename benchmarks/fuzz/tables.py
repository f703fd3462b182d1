"""Tables of what came of the fuzzer's requests."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.fuzz.fuzzing import Tally
from benchmarks.fuzz.giants import Refusals
from rich.table import Table

HEAD = (
    "| requests | of them with access control | served | refused | sound ones beside | findings | problems | seed |\n"
    "|---|---|---|---|---|---|---|---|"
)


def answers(tally: Tally) -> Table:
    """How many requests were answered how."""
    table = Table("status", "reason", "requests", title="Answers")
    for (status, reason), count in tally.answers.most_common():
        table.add_row(status, reason, f"{count:,}")
    return table


def reached(tally: Tally) -> Table:
    """The share of each kind of request that was answered with OK, and so went all the way."""
    table = Table("kind", "requests", "OK", title="How far they got")
    kinds: Counter[str] = Counter()
    for (kind, _), count in tally.reached.items():
        kinds[kind] += count
    for kind, count in kinds.most_common():
        table.add_row(kind, f"{count:,}", f"{tally.reached[kind, 'OK'] / count:.0%}")
    return table


def refusal_times(times: Sequence[float]) -> Iterator[str]:
    """How long refusals took inside of the server, in milliseconds, told in words."""
    if len(times) > 1:
        median, worst = statistics.median(times), statistics.quantiles(times, n=100)[98]
        yield f"refusals among these: {len(times):,}, median {1000 * median:.0f} µs, 99 of 100 within {worst:.1f} ms"


def giant(refusals: Refusals) -> str:
    """What it cost to refuse far too much, in words."""
    times = f"{1e6 * refusals.cpu:.0f} µs of CPU and {1e6 * refusals.wall:.0f} µs until the client had it"
    return f"far too much, one at a time: {refusals.count:,} refused, each {times}; memory {refusals.memory:+,} bytes"


def row(tallies: Sequence[Tally], seed: int, problems: int) -> str:
    """A line of Markdown about a whole run: without access control, then with it."""
    sent = sum(tally.sent for tally in tallies)
    controlled = sum(tally.sent for tally in tallies[1:])
    served = sum(count for tally in tallies for (code, _), count in tally.answers.items() if code == "OK")
    sound, findings = sum(tally.sound for tally in tallies), sum(len(tally.findings) for tally in tallies)
    cells = (sent, controlled, served, sent - served, sound, findings, problems)
    return f"| {' | '.join(f'{cell:,}' for cell in cells)} | {seed} |"
