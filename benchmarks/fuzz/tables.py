"""Tables of what came of the fuzzer's requests."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.fuzz.fuzzing import Tally
from rich.table import Table

_REFUSED = ("InvalidArgument", "NotFound", "FailedPrecondition")


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


def refusal_times(lines: Sequence[dict[str, object]]) -> Iterator[str]:
    """How long the server says that refusals took it, from its log."""
    times = [
        float(str(line["duration_ms"]))
        for line in lines
        if line.get("msg") == "rpc" and line.get("grpc_code") in _REFUSED
    ]
    if len(times) > 1:
        median, worst = statistics.median(times), statistics.quantiles(times, n=100)[98]
        yield f"refusals: {len(times):,}, median {1000 * median:.0f} µs, 99 of 100 within {worst:.1f} ms"
