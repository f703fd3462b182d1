"""How far back it pays to look: perplexities of n-gram models by n, on works that they know and on new ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from rich.table import Table

from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.data.tokens import TokenTexts, by_character, by_word
from rhapsode_exporter.families.ngram import FEWEST, WORDS
from rhapsode_exporter.judge import add_one
from rhapsode_exporter.judge.kneser_ney import count

CHARACTER_ORDER, WORD_ORDER = 8, 5


@dataclass(frozen=True, slots=True)
class Curve:
    """Perplexities per token by n, from 1 up, on the texts that were counted and on the held-out ones."""

    unit: str
    model: str
    known: tuple[float, ...]
    held_out: tuple[float, ...]

    @property
    def best(self) -> int:
        """The n of the lowest perplexity on the held-out texts."""
        return 1 + self.held_out.index(min(self.held_out))


def compare(corpus: Corpus, characters: int = CHARACTER_ORDER, words: int = WORD_ORDER) -> tuple[Curve, ...]:
    """The curves of smoothed and of plain counts, of characters up to one order and of words up to another."""
    return (
        *_curves("character", by_character(corpus, None), characters),
        *_curves("word", by_word(corpus, None, WORDS, FEWEST), words),
    )


def as_table(curves: Sequence[Curve]) -> Table:
    """A line for each curve and kind of text."""
    most = max(len(curve.known) for curve in curves)
    sizes = map(str, range(1, most + 1))
    table = Table("tokens", "model", "texts", *sizes, title="perplexity per token, by n", box=None)
    for curve in curves:
        for texts, values in (("known", curve.known), ("held out", curve.held_out)):
            table.add_row(curve.unit, curve.model, texts, *(f"{value:.4g}" for value in values))
    return table


def draw(curves: Sequence[Curve], path: Path) -> None:
    """A PNG with a panel for each kind of token; held-out texts in full lines, known ones dashed."""
    units = sorted({curve.unit for curve in curves})
    figure = Figure(figsize=(4.5 * len(units), 3.6), dpi=100, layout="constrained")
    for axes, unit in zip(figure.subplots(1, len(units), squeeze=False)[0], units, strict=True):
        for color, curve in enumerate(curve for curve in curves if curve.unit == unit):
            for texts, values, style in (("held out", curve.held_out, "-"), ("known", curve.known, "--")):
                sizes = range(1, len(values) + 1)
                axes.plot(sizes, values, style, marker=".", color=f"C{color}", label=f"{curve.model}, {texts}")
        axes.set(title=f"{unit}s", xlabel="n", ylabel=f"perplexity per {unit}", yscale="log")
        axes.legend(fontsize="small")
    figure.savefig(path)


def _curves(unit: str, texts: TokenTexts, order: int) -> tuple[Curve, Curve]:
    counted = count(texts.known, len(texts.tokens), order)
    smoothed = [_perplexities(counted.nats_per_character(part)) for part in (texts.known, texts.held_out)]
    plain = [_perplexities(add_one.nats_by_order(counted, part)) for part in (texts.known, texts.held_out)]
    return Curve(unit, "Kneser–Ney", *smoothed), Curve(unit, "counts + 1", *plain)


def _perplexities(nats: Sequence[float]) -> tuple[float, ...]:
    return tuple(math.exp(value) for value in nats)
