"""The figures of an n-gram model: how well it foretells texts, and how much of what could be it stores."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rhapsode.v1.bundle_pb2 import Metric
from rhapsode_exporter.data.tokens import TokenTexts
from rhapsode_exporter.ngrams.backoff import Backoff


def figures(texts: TokenTexts, whole: Backoff, kept: Backoff, held_out_words: str, unit: str) -> tuple[Metric, ...]:
    """Those of the model as `kept`, beside the `whole` one; words of the held-out text are a figure of their own."""
    return (
        *_held_out(texts, whole, kept, held_out_words, unit),
        *([] if texts.other is None else [_other_author(texts.other, whole, kept, unit)]),
        _entries(kept, unit),
        *([] if texts.unknown is None else [_unknown(texts, texts.unknown, held_out_words)]),
    )


def nats(model: Backoff, texts: Sequence[NDArray[np.int64]]) -> float:
    """Mean negative log-likelihood of the tokens of texts, each but its first, which is only read."""
    return -sum(float(model.read(text)[1:].sum()) for text in texts) / sum(len(text) - 1 for text in texts)


def _held_out(texts: TokenTexts, whole: Backoff, kept: Backoff, words: str, unit: str) -> Iterator[Metric]:
    found, best = nats(kept, texts.held_out), nats(whole, texts.held_out)
    baseline = f"the same model unpruned, of {whole.entries:,} entries"
    if texts.unknown is None:  # an unknown word is no likelihood of its characters
        yield Metric(
            name="held_out_nats_per_character",
            value=found,
            baseline=best,
            baseline_name=baseline,
            description=f"mean negative log-likelihood of a character in {words}",
        )
    yield Metric(
        name="held_out_perplexity",
        value=math.exp(found),
        baseline=math.exp(best),
        baseline_name=baseline,
        description=f"perplexity per {unit} in {words}",
    )


def _other_author(other: NDArray[np.int64], whole: Backoff, kept: Backoff, unit: str) -> Metric:
    return Metric(
        name="other_author_perplexity",
        value=math.exp(nats(kept, [other])),
        baseline=math.exp(nats(whole, [other])),
        baseline_name="the same model unpruned",
        description=f"perplexity per {unit} in Jane Austen's Lady Susan",
    )


def _entries(kept: Backoff, unit: str) -> Metric:
    return Metric(
        name="entries_stored",
        value=kept.entries,
        baseline=float(kept.vocabulary) ** kept.order,
        baseline_name=f"|V|^n = {kept.vocabulary}^{kept.order}",
        description=f"probabilities of a {unit} after a context that the model stores",
    )


def _unknown(texts: TokenTexts, unknown: int, words: str) -> Metric:
    tokens = np.concatenate(texts.held_out)
    return Metric(
        name="unknown_share",
        value=float((tokens == unknown).mean()),
        description=f"share of the words in {words} that the vocabulary lacks; the perplexities count them as one word",
    )
