"""The families shakespeare-rnn and shakespeare-gru: character networks that write on in the manner of a text."""

from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from rhapsode.v1.bundle_pb2 import (
    DataSet,
    GraphRole,
    Metric,
    ModelKind,
    SequenceSpec,
    StopReason,
    Training,
    Vocabulary,
)
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, BundleDraft, GraphDraft, Preview, StateNames
from rhapsode_exporter.bundle.preview import PASSAGE_LENGTH, PASSAGE_TEMPERATURE
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.data.own_text import load_own
from rhapsode_exporter.data.shakespeare import load_works
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.records import as_text, has_bfloat16, training_record
from rhapsode_exporter.judge.kneser_ney import count
from rhapsode_exporter.judge.passage import write_passage
from rhapsode_exporter.judge.text import nats_per_character
from rhapsode_exporter.loops.sequence import SequenceSettings, Texts, train
from rhapsode_exporter.networks.recurrent import Cell, CharacterNetwork, RecurrentShape, StepCell, state_names

START = "\n"
GOLDEN_CONTEXT = 64


@dataclass(frozen=True, slots=True)
class Size:
    """How large a network is trained, and for how long."""

    embedding: int
    width: int
    steps: int
    training: SequenceSettings


FULL = Size(embedding=64, width=512, steps=7_000, training=SequenceSettings())
QUICK = Size(
    embedding=32,
    width=128,
    steps=600,
    training=SequenceSettings(streams=16, segment=64, learning_rate=8e-3, warm_up=30, evaluate_every=200, dropout=0.0),
)


class ShakespeareRnn:
    """Character model of LSTM or GRU layers; by default of the complete works of Shakespeare."""

    schedules: tuple[str, ...] = ()
    measures_error = True

    def __init__(self, name: str = "shakespeare-rnn", cell: Cell = "lstm") -> None:
        self.name = name
        self.cell: Cell = cell
        self.description = f"character {cell.upper()} on the complete works of Shakespeare (or --data: your own text)"

    def train(self, order: Order) -> BundleDraft | None:
        """Train, measure on the held-out works beside a Kneser–Ney model, and describe the step graph."""
        corpus = load_works(order.cache) if order.data is None else load_own(order.data)
        size = QUICK if order.quick else FULL
        settings = replace(size.training, bfloat16=has_bfloat16())
        shape = RecurrentShape(len(corpus.alphabet), size.embedding, size.width, cell=self.cell)
        identity = as_text({**asdict(shape), **asdict(settings), "seed": order.seed, "data": corpus.sha256})
        torch.manual_seed(order.seed)
        network = CharacterNetwork(shape, settings.dropout)
        run = order.open_run(self.name, order.stop_rule(size.steps))
        outcome = train(run, network, _texts(corpus), settings, identity, lambda network: _passage(network, corpus))
        if outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED:
            return None
        order.console.print("measuring on the held-out texts")
        kept = {name: value for name, value in identity.items() if name not in ("seed", "data")}
        record = training_record(_data_set(corpus), kept, order.seed, outcome)
        return _draft(self.name, network, corpus, record)


def _texts(corpus: Corpus) -> Texts:
    return Texts(
        training=_ids(corpus, START.join(corpus.training)),
        validation=[_ids(corpus, text) for text in corpus.validation],
        start=corpus.alphabet.index(START),
    )


def _ids(corpus: Corpus, text: str) -> Tensor:
    return torch.from_numpy(corpus.ids(text))


def _passage(network: CharacterNetwork, corpus: Corpus) -> str:
    prompt = _ids(corpus, START).long()
    drawn = write_passage(network, prompt, PASSAGE_LENGTH, PASSAGE_TEMPERATURE, seed=0)
    return "".join(corpus.alphabet[token] for token in drawn)


def _data_set(corpus: Corpus) -> DataSet:
    return DataSet(name=corpus.name, licence=corpus.licence, sha256=corpus.sha256, held_out=corpus.held_out_words)


def _draft(name: str, network: CharacterNetwork, corpus: Corpus, training: Training) -> BundleDraft:
    vocabulary = Vocabulary(tokens=corpus.alphabet, start_token=corpus.alphabet.index(START))
    shape = network.shape
    return BundleDraft(
        name=name,
        kind=ModelKind.MODEL_KIND_SEQUENCE,
        description=f"Text written on character by character in the manner of {corpus.title}, "
        f"by a recurrent network of {shape.layers} {shape.cell.upper()} layers with {shape.width} units each.",
        licence="Apache-2.0" if corpus.public else corpus.licence,
        graphs=(_step_graph(network, corpus),),
        training=training,
        metrics=_figures(network, corpus),
        preview=Preview("preview.txt", _passage(network, corpus).encode()),
        sequence=SequenceSpec(vocabulary=vocabulary),
    )


@torch.no_grad()
def _step_graph(network: CharacterNetwork, corpus: Corpus) -> GraphDraft:
    """The step graph; its goldens are the states after a stretch of held-out text, the first one a fresh state."""
    text = _ids(corpus, "".join(corpus.held_out)).long()
    context = min(GOLDEN_CONTEXT, len(text) // 2)
    starts = torch.linspace(0, len(text) - context - 1, GOLDEN_ROWS).long()  # [33]
    places = starts + torch.arange(context + 1)[:, None]  # [context + 1, 33]
    *read, token = text[places]
    token[0] = corpus.alphabet.index(START)
    _, after = network.eval()(torch.stack(read), network.fresh_state(GOLDEN_ROWS))
    for state in after:
        state[:, 0] = 0.0
    states = [state[layer] for layer in range(network.shape.layers) for state in after]
    names = [StateNames(f"{name}_in", f"{name}_out") for name in state_names(network.shape)]
    inputs = {"token": token} | {pair.input: state for pair, state in zip(names, states, strict=True)}
    outputs = ("logits", *(pair.output for pair in names))
    return GraphDraft(GraphRole.GRAPH_ROLE_STEP, StepCell(network), inputs, outputs, states=tuple(names))


def _figures(network: CharacterNetwork, corpus: Corpus) -> tuple[Metric, ...]:
    held_out = [_ids(corpus, text) for text in corpus.held_out]
    value = nats_per_character(network, held_out, corpus.alphabet.index(START))
    baseline, order = _baseline(corpus)
    return (
        Metric(
            name="held_out_nats_per_character",
            value=value,
            higher_is_better=False,
            baseline=baseline,
            baseline_name=f"modified Kneser–Ney of order {order}, unpruned, counted on the training works",
            description=f"mean negative log-likelihood of a character in {corpus.held_out_words}",
        ),
    )


def _baseline(corpus: Corpus) -> tuple[float, int]:
    """Nats per character of the best order of a Kneser–Ney model, and that order.

    It is counted on the whole of the training works, the slices that the network was only chosen by included.
    """
    known = [corpus.ids(head + tail) for head, tail in zip(corpus.training, corpus.validation, strict=True)]
    model = count(known, len(corpus.alphabet))
    by_order = model.nats_per_character([corpus.ids(text) for text in corpus.held_out])
    return min((nats, order) for order, nats in enumerate(by_order, start=1))
