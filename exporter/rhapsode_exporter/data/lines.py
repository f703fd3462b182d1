"""Short texts of two classes as a critic of texts takes them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rhapsode_exporter.data.corpus import START, Corpus

LONGEST = 120
UNKNOWN = "\ufffd"
"""Stands for every character that the corpus has not."""


@dataclass(frozen=True, slots=True)
class Lines:
    """`tokens` int64 [N, LONGEST], of which the first `length` [N] are a text; `labels` [N] number its class."""

    tokens: Tensor
    length: Tensor
    labels: Tensor

    def at(self, rows: Tensor) -> "Lines":
        """Some of the lines."""
        return Lines(self.tokens[rows], self.length[rows], self.labels[rows])


def tokens_of(corpus: Corpus) -> tuple[str, ...]:
    """The characters of a corpus's texts, without those that stand for classes and ends; last comes UNKNOWN."""
    marks = {START, *corpus.classes.values()}
    return (*(character for character in corpus.alphabet if character not in marks), UNKNOWN)


def lines_of(documents: Sequence[str], corpus: Corpus) -> Lines:
    """Documents, each behind the character of its class; of longer ones the first LONGEST characters."""
    prefixes = list(corpus.classes.values())
    labels = [prefixes.index(document[0]) for document in documents]
    tokens, length = as_tokens([document[1:].removesuffix(START) for document in documents], tokens_of(corpus))
    return Lines(tokens, length, torch.tensor(labels, dtype=torch.int64))


def as_tokens(texts: Sequence[str], vocabulary: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Tokens [N, LONGEST], filled up with 0, and lengths [N] of plain texts."""
    place = {token: number for number, token in enumerate(vocabulary)}
    unknown = place[UNKNOWN]
    rows = [[place.get(character, unknown) for character in text[:LONGEST]] for text in texts]
    tokens = torch.tensor([row + [0] * (LONGEST - len(row)) for row in rows], dtype=torch.int64)
    return tokens.reshape(len(rows), LONGEST), torch.tensor([len(row) for row in rows], dtype=torch.int64)
