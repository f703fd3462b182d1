"""The families of recurrent character networks: all texts are learned, measured and exported in this one way."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch

from rhapsode.v1.bundle_pb2 import Metric, ModelKind, StopReason, Training
from rhapsode_exporter.bundle.draft import BundleDraft, Preview
from rhapsode_exporter.bundle.preview import PASSAGE_LENGTH, PASSAGE_TEMPERATURE
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.data.own_text import load_own
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.character_step import sequence_spec, step_graph
from rhapsode_exporter.families.records import as_text, data_set, has_bfloat16, training_record
from rhapsode_exporter.families.text_figures import Judge, Sample, figures, whole
from rhapsode_exporter.loops.sequence import SequenceSettings, Texts, train
from rhapsode_exporter.networks.recurrent import Cell, CharacterNetwork, RecurrentShape
from rhapsode_exporter.run.report import say
from rhapsode_exporter.sampling.texts import texts_of_network

PASSAGE_DOCUMENTS = 12


@dataclass(frozen=True, slots=True)
class Size:
    """How large a network is trained, for how long, and on how much of its own text it is judged."""

    width: int
    layers: int
    steps: int
    training: SequenceSettings
    sample: Sample
    embedding: int = 64


@dataclass(frozen=True, slots=True)
class TextFamily:
    """What one family of texts is made of. `about` says what it reads, in words for the list of families."""

    name: str
    about: str
    load: Callable[[Path], Corpus]
    full: Size
    quick: Size
    cell: Cell = "gru"
    documents: bool = False
    judges: tuple[Judge, ...] = ()
    """What is measured of its texts, of its own data set, beside what is measured of all."""

    @property
    def cell_name(self) -> str:
        """The kind of its layers as the papers write it."""
        return "minGRU" if self.cell == "mingru" else self.cell.upper()


class RecurrentText:
    """A character model of LSTM, GRU or minGRU layers, of the family's data set or of the user's own text."""

    schedules: tuple[str, ...] = ()
    measures_error = True

    def __init__(self, family: TextFamily) -> None:
        self._family = family
        self.name = family.name
        own = "your own lines" if family.documents else "your own text"
        self.description = f"character {family.cell_name} on {family.about} (or --data: {own})"

    def train(self, order: Order) -> BundleDraft | None:
        """Train, measure on the held-out texts beside a Kneser–Ney model, and describe the step graph."""
        family = self._family
        corpus = load_own(order.data, family.documents) if order.data else family.load(order.cache)
        size = family.quick if order.quick else family.full
        settings = _fitted(replace(size.training, bfloat16=has_bfloat16()), corpus)
        shape = RecurrentShape(len(corpus.alphabet), size.embedding, size.width, size.layers, family.cell)
        identity = as_text({**asdict(shape), **asdict(settings), "seed": order.seed, "data": corpus.sha256})
        torch.manual_seed(order.seed)
        network = CharacterNetwork(shape, settings.dropout)
        run = order.open_run(self.name, order.stop_rule(size.steps))
        outcome = train(run, network, _texts(corpus), settings, identity, lambda network: _passage(network, corpus))
        if outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED:
            return None
        kept = {name: value for name, value in identity.items() if name not in ("seed", "data")}
        kept["judged_at_temperature"] = str(size.sample.temperature)
        record = training_record(data_set(corpus), kept, order.seed, outcome)
        judges = () if order.data else family.judges
        metrics = figures(network, corpus, size.sample, judges, partial(say, order.console))
        return _draft(family, network, corpus, record, metrics)


def _fitted(settings: SequenceSettings, corpus: Corpus) -> SequenceSettings:
    """The settings with no more streams than there are documents to fill them."""
    most = len(corpus.training) if corpus.documents else settings.streams
    return replace(settings, streams=min(settings.streams, most))


def _texts(corpus: Corpus) -> Texts:
    return Texts(whole(corpus, _balanced(corpus)), whole(corpus, corpus.validation), corpus.documents)


def _balanced(corpus: Corpus) -> Sequence[str]:
    """What to learn from: documents of a class that is n times rarer √n times each, so that it is not drowned."""
    classes = [[text for text in corpus.training if text.startswith(mark)] for mark in corpus.classes.values()]
    most = max(map(len, classes), default=0)
    return [text for texts in classes for text in texts * round(math.sqrt(most / len(texts)))] or corpus.training


def _passage(network: CharacterNetwork, corpus: Corpus) -> str:
    """A long text, or documents, those of classes with the class's name before them."""
    if not corpus.documents:
        return texts_of_network(network, corpus, [""], PASSAGE_LENGTH, temperature=PASSAGE_TEMPERATURE)[0]
    kinds = list(corpus.classes.items()) or [("", "")]
    names, marks = zip(*(kinds[number % len(kinds)] for number in range(PASSAGE_DOCUMENTS)), strict=True)
    texts = texts_of_network(network, corpus, marks, PASSAGE_LENGTH, temperature=PASSAGE_TEMPERATURE)
    return "".join(f"{name}{': ' if name else ''}{text}\n" for name, text in zip(names, texts, strict=True))


def _draft(
    family: TextFamily, network: CharacterNetwork, corpus: Corpus, training: Training, metrics: tuple[Metric, ...]
) -> BundleDraft:
    shape = network.shape
    layers = f"{shape.layers} {family.cell_name} layers" if shape.layers > 1 else f"one {family.cell_name} layer"
    return BundleDraft(
        name=family.name,
        kind=ModelKind.MODEL_KIND_SEQUENCE,
        description=f"Text written on character by character in the manner of {corpus.title}, "
        f"by a recurrent network of {layers} with {shape.width} units{' each' if shape.layers > 1 else ''}.",
        licence="Apache-2.0" if corpus.public else corpus.licence,
        graphs=(step_graph(network, corpus),),
        training=training,
        metrics=metrics,
        preview=Preview("preview.txt", _passage(network, corpus).encode()),
        sequence=sequence_spec(corpus),
    )
