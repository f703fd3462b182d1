"""The targets that the engine is held to, and whether the rounds met them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.cases import DIFFUSION_16, IMAGES_1, IMAGES_64, NGRAM_64, TEXT_1, TEXT_64, Case, Measurement, Way
from benchmarks.cold import BARE, RESIDENT, START, STREAM
from benchmarks.plan import FULL_LOAD, PNG_64, PROMPTS, TEXT_1024
from benchmarks.rounds import Round
from benchmarks.spread import Spread, percentile, spread

from rhapsode_server.config import Config

RIVALS: tuple[Way, ...] = ("pytriton", "mlserver")
RIVALS_16: tuple[Way, ...] = ("pytriton16", "mlserver16")
RUN_BUDGET_MS = Config().run_budget_ms
_RPCS = 1.4


@dataclass(frozen=True, slots=True)
class Target:
    """A figure of a round that is to be at most `most`."""

    name: str
    figure: Callable[[Round], float]
    most: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was found, over all rounds in which it was measured."""

    name: str
    most: float
    found: Spread

    @property
    def met(self) -> bool:
        """Whether the median is within the target."""
        return self.found.middle <= self.most


def judge(rounds: Sequence[Round]) -> list[Verdict]:
    """A verdict on each target whose figures were measured."""
    found = {target: [value for one in rounds if (value := _try(target, one)) is not None] for target in TARGETS}
    return [Verdict(target.name, target.most, spread(values)) for target, values in found.items() if values]


def cpu_ratio(case: Case, way: Way, limit: Way, limit_case: Case | None = None) -> Callable[[Round], float]:
    """CPU time an item of one way over that of another."""
    return lambda one: one.of(case.name, way).cpu_per_item / one.of((limit_case or case).name, limit).cpu_per_item


def first_beyond_steps(case: Case) -> Callable[[Round], float]:
    """Milliseconds to the first token beyond two steps (and the prompt's length in steps where it is longer than one).

    A step is that of the plain loop at batch 1, in wall time.
    """
    steps = 2 + (case.prompt if case.prompt > 1 else 0)

    def figure(one: Round) -> float:
        plain = one.of(TEXT_1.name, "plain")
        return 1e3 * (one.of(case.name, "served").first_seconds - steps * plain.wall_seconds / plain.items)

    return figure


def arrival_beyond_steps(case: Case, share: float) -> Callable[[Round], float]:
    """Milliseconds to the first token of arriving requests beyond their own prompt's steps, a percentile of the round.

    A step is that of the fused loop at as many rows as were in the server on average (Little's law: the sum of the
    requests' times over the time of the whole), between its times at batch 1 and 64.
    """

    def figure(one: Round) -> float:
        arrivals = one.of(case.name, "served")
        rows = min(64.0, max(1.0, sum(arrivals.ends) / arrivals.wall_seconds))
        narrow, wide = (_step(one.of(text.name, "fused"), text) for text in (TEXT_1, TEXT_64))
        step = narrow + (wide - narrow) * (rows - 1) / 63
        return 1e3 * (percentile(arrivals.firsts, share) - case.prompt * step)

    return figure


def unfairness(one: Round) -> float:
    """When the slowest of equal streams ended, over when the median one did."""
    ends = one.of(TEXT_1024.name, "served").ends
    return max(ends) / median(ends)


def _with_rpcs(case: Case) -> Callable[[Round], float]:
    """Server CPU an image over that in process plus some empty rpcs."""

    def figure(one: Round) -> float:
        empty = one.of(IMAGES_64.name, "empty").cpu_per_item
        return one.of(case.name, "served").cpu_per_item / (one.of(case.name, "decode").cpu_per_item + _RPCS * empty)

    return figure


def _against(rivals: Sequence[Way], case: Case, value: Callable[[Measurement], float]) -> Callable[[Round], float]:
    """Our value over the best of these rivals' in the same round."""
    return lambda one: value(one.of(case.name, "served")) / min(value(one.of(case.name, way)) for way in rivals)


def _cpu(one: Measurement) -> float:
    return one.cpu_per_item


def _first(one: Measurement) -> float:
    return one.first_seconds


def _step(one: Measurement, case: Case) -> float:
    return one.wall_seconds / (case.items * case.repeats)


def _try(target: Target, one: Round) -> float | None:
    try:
        return target.figure(one)
    except LookupError:
        return None


TARGETS = (
    Target("text, 64 streams: server CPU / fused loop", cpu_ratio(TEXT_64, "served", "fused"), 1.2),
    Target(
        "text, 64 streams: server CPU / best rival's that sends token by token", _against(RIVALS, TEXT_64, _cpu), 0.4
    ),
    Target(
        "text, 64 streams: server CPU / best rival's that sends 16 tokens a message",
        _against(RIVALS_16, TEXT_64, _cpu),
        0.4,
    ),
    Target("text, 1 stream, 4 tokens a message: server CPU / plain loop", cpu_ratio(TEXT_1, "k4", "plain"), 1.15),
    Target(
        "64 streams in process: CPU of n-grams / of the GRU",
        cpu_ratio(NGRAM_64, "fused", "fused", TEXT_64),
        0.2,
    ),
    *(Target(f"{case.name}: ms to the first token beyond steps", first_beyond_steps(case), 2.0) for case in PROMPTS),
    Target("images, 64 x 1: server CPU / (in process + 1.4 empty rpcs)", _with_rpcs(IMAGES_64), 1.0),
    Target("images, 64 x 1, PNG: server CPU / (in process + 1.4 empty rpcs)", _with_rpcs(PNG_64), 1.0),
    Target("images, 64 x 1: server CPU / best rival's", _against(RIVALS, IMAGES_64, _cpu), 0.75),
    Target("images, 1 x 64: server CPU / in process", cpu_ratio(IMAGES_1, "served", "decode"), 1.1),
    Target("diffusion, 16 x 1: server CPU / one batch of 16", cpu_ratio(DIFFUSION_16, "served", "denoise"), 1 / 0.85),
    Target("CPU a token, 1,024 streams / 64 streams", cpu_ratio(TEXT_1024, "served", "served", TEXT_64), 1.1),
    Target("memory of an open stream, KB", lambda one: one.figure(STREAM), 40.0),
    Target("1,024 equal streams: end of the slowest / median", unfairness, 1.5),
    Target("64 at once: first token / best rival's", _against((*RIVALS, *RIVALS_16), TEXT_64, _first), 0.5),
    Target(
        "arrivals at 80 % load: p99 ms to the first token beyond the prompt's steps",
        arrival_beyond_steps(FULL_LOAD, 0.99),
        4 * RUN_BUDGET_MS,
    ),
    Target("start to SERVING, s", lambda one: one.figure(START), 3.0),
    Target("resident memory beyond bare sessions, MB", lambda one: one.figure(RESIDENT) - one.figure(BARE), 80.0),
)
