"""Whether generated headlines are of the class that was asked for, by a judge of another kind than the critic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rhapsode.v1.bundle_pb2 import Metric
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.data.lines import as_tokens, lines_of, tokens_of
from rhapsode_exporter.judge.naive_bayes import NaiveBayes
from rhapsode_exporter.judge.prose import bare


@dataclass(frozen=True, slots=True)
class HeadlineJudge:
    """A counted model that names the class of a line, with the share of real held-out lines that it names rightly.

    Nothing is chosen by it: neither a generator's weights nor which of several lines is kept.
    """

    model: NaiveBayes
    tokens: tuple[str, ...]
    classes: tuple[str, ...]
    right: tuple[float, ...]
    """By class."""

    def share(self, texts: Sequence[str], name: str) -> float:
        """The share of plain texts that it says are of a class."""
        named = self.model.labels(*as_tokens(texts, self.tokens))
        return float((named == self.classes.index(name)).mean())


def teach_judge(corpus: Corpus) -> HeadlineJudge:
    """A judge counted on the training lines, set by the validation lines so that neither class is favoured."""
    tokens = tokens_of(corpus)
    training, validation, held_out = (
        lines_of(part, corpus) for part in (corpus.training, corpus.validation, corpus.held_out)
    )
    model = NaiveBayes.counted(training, validation, len(tokens))
    named, labels = model.labels(held_out.tokens, held_out.length), held_out.labels.numpy()
    right = tuple(float((named[labels == label] == label).mean()) for label in range(len(corpus.classes)))
    return HeadlineJudge(model, tokens, tuple(corpus.classes), right)


def figures(generated: Mapping[str, Sequence[str]], corpus: Corpus) -> tuple[Metric, ...]:
    """For each class the share of the texts generated for it that the judge names so, beside real held-out lines.

    Lines that are one of the training lines word for word are left out: of these the judge was told.
    """
    judge = teach_judge(corpus)
    known = frozenset(bare(corpus.training, corpus))
    found = []
    for name, texts in generated.items():
        own = [text for text in bare(texts, corpus) if text not in known]
        if own:
            found.append(_metric(judge, name, own, len(texts) - len(own)))
    return tuple(found)


def _metric(judge: HeadlineJudge, name: str, texts: Sequence[str], copies: int) -> Metric:
    return Metric(
        name=f"{name}_named_so_share",
        value=judge.share(texts, name),
        higher_is_better=True,
        baseline=judge.right[judge.classes.index(name)],
        baseline_name=f"real held-out lines of the class {name}",
        description=f"share of {len(texts):,} lines generated for the class {name} that a naive Bayes judge says are "
        f"of it, which nothing was chosen by ({copies:,} copies of training lines left out)",
    )
