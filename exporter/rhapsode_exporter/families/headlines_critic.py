"""The family headlines-critic: says whether a headline is clickbait or news."""

from dataclasses import asdict, dataclass
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from rhapsode.v1.bundle_pb2 import (
    GraphRole,
    Metric,
    ModelKind,
    SequenceSpec,
    StopReason,
    Training,
    Vocabulary,
)
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, BundleDraft, GraphDraft, Preview
from rhapsode_exporter.data.corpus import START, Corpus
from rhapsode_exporter.data.headlines import load_headlines
from rhapsode_exporter.data.lines import LONGEST, Lines, lines_of, tokens_of
from rhapsode_exporter.errors import DataUnavailableError
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.records import as_text, data_set, training_record
from rhapsode_exporter.judge.auroc import auroc
from rhapsode_exporter.judge.naive_bayes import Floats, NaiveBayes
from rhapsode_exporter.loops.text_classes import TextClassSettings, train
from rhapsode_exporter.networks.text_classifier import ExactGramCritic, GramCritic, GramShape

FULL_STEPS, QUICK_STEPS = 800, 150
DESCRIPTION = (
    "Says of a headline of at most {longest} characters whether it is clickbait or news: by a weight for every stretch "
    "of two to five characters. What it knows is how the outlets of either kind write about health."
)


@dataclass(frozen=True, slots=True)
class Material:
    """A corpus of two classes as a critic takes it."""

    corpus: Corpus
    training: Lines
    validation: Lines
    held_out: Lines


class HeadlinesCritic:
    """Logistic regression on hashed n-grams of characters."""

    name = "headlines-critic"
    description = "critic of headlines: clickbait or news"
    schedules: tuple[str, ...] = ()
    measures_error = True

    def train(self, order: Order) -> BundleDraft | None:
        """Train on both classes alike, and describe the critic with its held-out figures beside naive Bayes."""
        if order.data is not None:
            raise DataUnavailableError(f"{self.name} needs headlines with their classes; leave --data out")
        material = read(load_headlines(order.cache))
        settings = TextClassSettings()
        shape = GramShape(len(tokens_of(material.corpus)), LONGEST)
        identity = as_text(asdict(shape) | asdict(settings))
        critic = GramCritic(shape, settings.dropout)
        run = order.open_run(self.name, order.stop_rule(QUICK_STEPS if order.quick else FULL_STEPS))
        unique = identity | {"seed": str(order.seed), "data": material.corpus.sha256}
        outcome = train(run, critic, material.training, material.validation, settings, unique)
        if outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED:
            return None
        record = training_record(data_set(material.corpus), identity, order.seed, outcome)
        return _draft(self.name, critic.eval(), material, record)


def read(corpus: Corpus) -> Material:
    """The corpus's documents as lines with labels."""
    parts = (lines_of(part, corpus) for part in (corpus.training, corpus.validation, corpus.held_out))
    return Material(corpus, *parts)


def _draft(name: str, critic: GramCritic, material: Material, training: Training) -> BundleDraft:
    corpus, tokens = material.corpus, tokens_of(material.corpus)
    return BundleDraft(
        name=name,
        kind=ModelKind.MODEL_KIND_CRITIC,
        description=DESCRIPTION.format(longest=LONGEST),
        licence="Apache-2.0" if corpus.public else corpus.licence,
        graphs=(
            GraphDraft(
                GraphRole.GRAPH_ROLE_CRITIC,
                ExactGramCritic(critic),
                _goldens(len(tokens)),
                ("class_logits",),
            ),
        ),
        training=training,
        metrics=_figures(critic, material),
        preview=Preview("preview.txt", _preview(critic, material).encode()),
        sequence=SequenceSpec(
            vocabulary=Vocabulary(tokens=tokens, unknown_token=len(tokens) - 1), longest_prompt=LONGEST
        ),
        classes=tuple(corpus.classes),
    )


def _goldens(vocabulary: int) -> dict[str, Tensor]:
    """Characters at random, from one to as many as fit: a bundle must hold no headline."""
    tokens = torch.randint(vocabulary, (GOLDEN_ROWS, LONGEST), generator=torch.Generator().manual_seed(0))
    return {"tokens": tokens, "length": torch.linspace(1, LONGEST, GOLDEN_ROWS).long()}


@torch.no_grad()
def _scores(critic: GramCritic, lines: Lines) -> Floats:
    """The logit of the first class."""
    logits = critic(lines.tokens, lines.length).double()
    scores: Floats = (logits[:, 0] - logits[:, 1]).numpy()
    return scores


def _figures(critic: GramCritic, material: Material) -> tuple[Metric, ...]:
    held_out, corpus = material.held_out, material.corpus
    plain = NaiveBayes.counted(material.training, material.validation, critic.shape.vocabulary)
    theirs = plain.scores(held_out.tokens, held_out.length) - plain.threshold
    ours, labels = _scores(critic, held_out), held_out.labels.numpy()
    baseline = "naive Bayes on stretches of three to five characters, its threshold set on the validation lines"
    first, second = corpus.classes

    def metric(name: str, value: float, beside: float, description: str) -> Metric:
        return Metric(
            name=name,
            value=value,
            higher_is_better=True,
            baseline=beside,
            baseline_name=baseline,
            description=f"{description}; {corpus.held_out_words}",
        )

    counts = f"{(labels == 0).sum():,} of {first} and {(labels == 1).sum():,} of {second}"
    return (
        metric(
            "held_out_balanced_accuracy_share",
            fmean(_right(ours, labels)),
            fmean(_right(theirs, labels)),
            f"mean over the two classes of the share of held-out lines that are named rightly ({counts})",
        ),
        *(
            metric(f"held_out_{word}_share", mine, its, f"share of held-out lines of {word} that are named rightly")
            for word, mine, its in zip(corpus.classes, _right(ours, labels), _right(theirs, labels), strict=True)
        ),
        metric(
            "held_out_auroc",
            auroc(ours[labels == 0], ours[labels == 1]),
            auroc(theirs[labels == 0], theirs[labels == 1]),
            f"how likely a held-out line of {first} scores higher as {first} than one of {second}",
        ),
    )


def _right(scores: Floats, labels: np.ndarray) -> tuple[float, float]:
    """The share of each class that is named rightly, where the first class is what scores above zero."""
    return float((scores[labels == 0] > 0).mean()), float((scores[labels == 1] <= 0).mean())


def _preview(critic: GramCritic, material: Material) -> str:
    """What its first class is called, and the probability of it for made-up lines: no headline is shipped."""
    examples = ("10 Foods You Should Never Eat!", "Hospital trusts report record deficit, ministers say")
    corpus = material.corpus
    prefix = next(iter(corpus.classes.values()))
    scores = _scores(critic, lines_of([prefix + line + START for line in examples], corpus))
    shares = 1 / (1 + np.exp(-scores))
    rows = (f"{share:.2f}  {line}" for share, line in zip(shares, examples, strict=True))
    return f"probability of {next(iter(corpus.classes))}:\n" + "\n".join(rows) + "\n"
