"""The n-gram families: characters and words by what was seen after the last few, counted and not trained."""

from dataclasses import asdict, dataclass

import numpy as np

from rhapsode.v1.bundle_pb2 import ModelKind, SequenceSpec, StopReason, Training, Vocabulary
from rhapsode_exporter.bundle.draft import BundleDraft, Preview
from rhapsode_exporter.data.austen import load_other_author
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.data.own_text import load_own
from rhapsode_exporter.data.shakespeare import load_works
from rhapsode_exporter.data.tokens import TokenTexts, by_character, by_word
from rhapsode_exporter.evaluation.ngram import figures
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.ngram_graph import passage, step_graph
from rhapsode_exporter.families.records import as_text, data_set, training_record
from rhapsode_exporter.judge.kneser_ney import count
from rhapsode_exporter.networks.ngram import NgramStep
from rhapsode_exporter.ngrams.backoff import Backoff, from_kneser_ney
from rhapsode_exporter.ngrams.pruning import Pruning
from rhapsode_exporter.run.folder import Position
from rhapsode_exporter.run.stop import Stop
from rhapsode_exporter.run.training import Outcome, Stopwatch

WORDS, FEWEST = 6_200, 3  # so many words that five fit in 63 bits, each seen at least three times
QUICK_ORDER, QUICK_CHARACTERS = 3, 300_000
PASSAGE_CHARACTERS, PASSAGE_WORDS = 600, 150
NAMES = ("unigram", "bigram", "trigram", "fourgram")
STEP = 0.06  # weights of listed tokens are kept as whole numbers of it, in a byte


@dataclass(frozen=True, slots=True)
class NgramSettings:
    """How far back a model looks, over what, and what of it is kept."""

    order: int
    words: bool
    pruning: Pruning | None

    @property
    def unit(self) -> str:
        """What a token is."""
        return "word" if self.words else "character"


CHARACTERS_LONG = NgramSettings(6, words=False, pruning=Pruning(threshold=1.15e-7, context_cost=3, widest=32))
WORDS_LONG = NgramSettings(5, words=True, pruning=Pruning(threshold=4e-7, context_cost=3, widest=512))


class Ngram:
    """An interpolated modified Kneser–Ney model, by default of the complete works of Shakespeare."""

    schedules: tuple[str, ...] = ()
    measures_error = False

    def __init__(self, name: str, settings: NgramSettings) -> None:
        self.name, self.settings = name, settings
        self.description = (
            f"{settings.unit} n-grams up to order {settings.order} of the complete works of Shakespeare "
            "(or --data: your own text), counted in seconds"
        )

    def train(self, order: Order) -> BundleDraft | None:
        """Count, prune, measure beside the unpruned model, and describe the step graph."""
        watch = Stopwatch()
        corpus = load_works(order.cache) if order.data is None else load_own(order.data)
        other = load_other_author(order.cache) if order.data is None and not order.quick else None
        size = min(self.settings.order, QUICK_ORDER) if order.quick else self.settings.order
        texts = self._texts(corpus, other, QUICK_CHARACTERS if order.quick else None)
        counted = count(texts.known, len(texts.tokens), size)
        whole = from_kneser_ney(counted, size)
        kept = from_kneser_ney(counted, size, self.settings.pruning, STEP)
        symbols = sum(map(len, texts.known))
        stop = Stop(StopReason.STOP_REASON_STEPS, f"all {symbols:,} {self.settings.unit}s counted")
        outcome = Outcome(stop, Position(symbols, watch.seconds()))
        order.console.print("measuring on the held-out texts")
        pruning = {} if self.settings.pruning is None else asdict(self.settings.pruning)
        settings = as_text({"order": size, "unit": self.settings.unit, "weight_step": STEP, **pruning})
        record = training_record(data_set(corpus), settings, order.seed, outcome)
        return self._draft(corpus, texts, whole, kept, record)

    def _texts(self, corpus: Corpus, other: str | None, most: int | None) -> TokenTexts:
        if self.settings.words:
            return by_word(corpus, other, WORDS, FEWEST, most)
        return by_character(corpus, other, most)

    def _draft(
        self, corpus: Corpus, texts: TokenTexts, whole: Backoff, kept: Backoff, training: Training
    ) -> BundleDraft:
        network, unit = NgramStep(kept), self.settings.unit
        length = PASSAGE_WORDS if self.settings.words else PASSAGE_CHARACTERS
        vocabulary = Vocabulary(
            tokens=texts.tokens,
            start_token=texts.start,
            unknown_token=texts.unknown,
            tokenizer=texts.tokenizer is not None,
        )
        return BundleDraft(
            name=self.name,
            kind=ModelKind.MODEL_KIND_SEQUENCE,
            description=f"Text written on {unit} by {unit} in the manner of {corpus.title}, "
            f"by an interpolated modified Kneser–Ney model of order {kept.order}: what was seen after the last "
            f"{kept.order - 1}, counted, and pruned by relative entropy. A step is a search in a sorted table.",
            licence="Apache-2.0" if corpus.public else corpus.licence,
            graphs=(step_graph(network, np.concatenate(texts.held_out)),),
            training=training,
            metrics=figures(texts, whole, kept, corpus.held_out_words, unit),
            preview=Preview("preview.txt", passage(network, texts, length).encode()),
            sequence=SequenceSpec(vocabulary=vocabulary),
            tokenizer=texts.tokenizer,
        )


def ngram_families() -> tuple[Ngram, ...]:
    """Those of characters, then those of words, each from the unigram to the longest."""
    short = [(name, size) for size, name in enumerate(NAMES, start=1)]
    return (
        *(Ngram(f"shakespeare-{name}", NgramSettings(size, words=False, pruning=None)) for name, size in short),
        Ngram("shakespeare-ngram", CHARACTERS_LONG),
        *(
            Ngram(f"shakespeare-words-{name}", NgramSettings(size, words=True, pruning=WORDS_LONG.pruning))
            for name, size in short
        ),
        Ngram("shakespeare-words-ngram", WORDS_LONG),
    )
