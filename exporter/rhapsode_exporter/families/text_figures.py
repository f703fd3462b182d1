"""The figures of a recurrent text: its likelihood beside counted models, and what its own texts are like."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rhapsode.v1.bundle_pb2 import Metric
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.judge import prose
from rhapsode_exporter.judge.kneser_ney import KneserNey, count
from rhapsode_exporter.judge.text import nats_per_character
from rhapsode_exporter.networks.recurrent import CharacterNetwork
from rhapsode_exporter.sampling.texts import texts_of_network, texts_of_ngram

SEED = 0


@dataclass(frozen=True, slots=True)
class Written:
    """Texts that were written to be judged, and as many by the best counted model beside them, named so.

    `prefixes` are what they begin with, the characters of their classes; the texts are without them. `note` tells a
    person what takes long.
    """

    corpus: Corpus
    prefixes: Sequence[str]
    texts: Sequence[str]
    beside: Sequence[str]
    beside_name: str
    note: Callable[[str], None]


Judge = Callable[[Written], tuple[Metric, ...]]


@dataclass(frozen=True, slots=True)
class Sample:
    """How many texts are written to be judged, of at most how many characters, at which temperature."""

    texts: int
    length: int
    temperature: float = 0.8

    def prefixes(self, corpus: Corpus) -> list[str]:
        """What the texts begin with: nothing, or the classes in turn."""
        kinds = list(corpus.classes.values()) or [""]
        return [kinds[number % len(kinds)] for number in range(self.texts)]


@dataclass(frozen=True, slots=True)
class Baseline:
    """The best order of a Kneser–Ney model, and its nats per held-out character."""

    model: KneserNey
    order: int
    nats: float

    @property
    def name(self) -> str:
        """What it is, in words."""
        return f"modified Kneser–Ney of order {self.order}, unpruned, counted on the training texts"


def figures(
    network: CharacterNetwork, corpus: Corpus, sample: Sample, judges: Sequence[Judge], note: Callable[[str], None]
) -> tuple[Metric, ...]:
    """All of them; `note` tells a person what takes long."""
    note("counting n-grams, and measuring on the held-out texts")
    baseline = best_baseline(corpus)
    note(f"writing {sample.texts:,} texts to be judged")
    written = _write(network, corpus, sample, baseline, note)
    likelihood = Metric(
        name="held_out_nats_per_character",
        value=nats_per_character(network, whole(corpus, corpus.held_out)),
        higher_is_better=False,
        baseline=baseline.nats,
        baseline_name=baseline.name,
        description=f"mean negative log-likelihood of a character in {corpus.held_out_words}",
    )
    learned = prose.figures(written.texts, written.beside, corpus, written.beside_name)
    return (likelihood, *learned, *(metric for judge in judges for metric in judge(written)))


def whole(corpus: Corpus, texts: Sequence[str]) -> list[Tensor]:
    """Each text as ids, with the character before its first one."""
    return [torch.from_numpy(ids) for ids in corpus.whole(texts)]


def best_baseline(corpus: Corpus) -> Baseline:
    """Counted on the whole of the training texts, those that the network was only chosen by included."""
    model = count([corpus.ids(text) for text in corpus.known], len(corpus.alphabet))
    held_out = [corpus.ids(text) for text in corpus.held_out]
    by_order = model.nats_per_character(held_out, skipped=1 if corpus.classes else 0)
    nats, order = min((nats, order) for order, nats in enumerate(by_order, start=1))
    return Baseline(model, order, nats)


def _write(
    network: CharacterNetwork, corpus: Corpus, sample: Sample, baseline: Baseline, note: Callable[[str], None]
) -> Written:
    prefixes, heat = sample.prefixes(corpus), sample.temperature
    texts = texts_of_network(network, corpus, prefixes, sample.length, temperature=heat, seed=SEED)
    # Of a few long works a counted model knows the beginnings by heart.
    heads = prefixes if corpus.documents else [corpus.start] * len(prefixes)
    model, order = baseline.model, baseline.order
    beside = texts_of_ngram(model, order, corpus, heads, sample.length, temperature=heat, seed=SEED)
    return Written(corpus, prefixes, texts, beside, baseline.name, note)
