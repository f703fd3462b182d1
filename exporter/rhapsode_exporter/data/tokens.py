"""A corpus as numbers: by its characters, or by its words with a tokenizer made for it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from rhapsode_exporter.data.corpus import START, Corpus
from rhapsode_exporter.data.typography import as_alphabet

UNKNOWN = "<unknown>"
# A word, a number or a mark with the space before it, else white space: nothing of a text is left out (the pattern of
# Radford et al. 2019, with words that hold an apostrophe whole, and each end of a line by itself).
PIECE = r" ?\p{L}+(?:'\p{L}+)*| ?\p{N}+| ?[^\s\p{L}\p{N}]|\n|[^\S\n]+(?!\S)|\s"
LONGEST_PIECE = 256  # characters of a token in a bundle

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenTexts:
    """Texts as ids of `tokens`, each with the start token before its first.

    `known` is counted, `held_out` judges, `other` is a text of another author, None where there is none to judge by.
    `tokenizer` is a tokenizer.json where tokens are no single characters.
    """

    tokens: tuple[str, ...]
    start: int
    known: tuple[Ids, ...]
    held_out: tuple[Ids, ...]
    other: Ids | None
    unknown: int | None = None
    tokenizer: bytes | None = None


def by_character(corpus: Corpus, other: str | None, most_known: int | None = None) -> TokenTexts:
    """Every character a token; of the training texts the first `most_known` characters, or all."""
    fitted = None if other is None else as_alphabet(other, corpus.alphabet).text
    return TokenTexts(
        tokens=corpus.alphabet,
        start=corpus.alphabet.index(START),
        known=tuple(_by_alphabet(corpus, _known(corpus, most_known))),
        held_out=tuple(_by_alphabet(corpus, corpus.held_out)),
        other=None if fitted is None else next(_by_alphabet(corpus, [fitted])),
    )


def by_word(corpus: Corpus, other: str | None, most: int, fewest: int, most_known: int | None = None) -> TokenTexts:
    """The `most` frequent pieces of the training texts, of those seen at least `fewest` times, are the tokens.

    All others are the unknown token, number 0. Of the training texts the first `most_known` characters are taken.
    """
    known = _known(corpus, most_known)
    tokens = _vocabulary(known, most, fewest)
    tokenizer = _tokenizer(tokens)
    return TokenTexts(
        tokens=tokens,
        start=tokens.index(START),
        known=tuple(_by_tokenizer(tokenizer, known)),
        held_out=tuple(_by_tokenizer(tokenizer, corpus.held_out)),
        other=None if other is None else next(_by_tokenizer(tokenizer, [other])),
        unknown=tokens.index(UNKNOWN),
        tokenizer=tokenizer.to_str().encode(),
    )


def _known(corpus: Corpus, most: int | None) -> Sequence[str]:
    """The texts that are not held out; their first `most` characters."""
    known = corpus.known
    if most is None:
        return known
    ends = accumulate(map(len, known))
    cut = [text[: max(0, most - (end - len(text)))] for text, end in zip(known, ends, strict=True)]
    return [text for text in cut if text]


def _by_alphabet(corpus: Corpus, texts: Iterable[str]) -> Iterator[Ids]:
    return (corpus.ids(START + text).astype(np.int64) for text in texts)


def _by_tokenizer(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[Ids]:
    start = tokenizer.token_to_id(START)
    for text in texts:
        lines = tokenizer.encode_batch_fast(_lines(text))
        yield np.array([start, *(number for line in lines for number in line.ids)], np.int64)


def _vocabulary(texts: Iterable[str], most: int, fewest: int) -> tuple[str, ...]:
    cut = _cutter()
    pieces = (piece for text in texts for line in _lines(text) for piece, _ in cut.pre_tokenize_str(line))
    seen = Counter(piece for piece in pieces if len(piece) <= LONGEST_PIECE and piece not in (UNKNOWN, START))
    ranked = sorted(seen.items(), key=lambda item: (-item[1], item[0]))
    return (UNKNOWN, START, *[piece for piece, number in ranked if number >= fewest][: most - 2])


def _lines(text: str) -> list[str]:
    """The text in parts that are cut like the whole, but far faster."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _tokenizer(tokens: Sequence[str]) -> Tokenizer:
    made = Tokenizer(models.WordLevel({token: number for number, token in enumerate(tokens)}, unk_token=UNKNOWN))
    made.pre_tokenizer = _cutter()
    made.decoder = decoders.Fuse()
    return made


def _cutter() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(PIECE), behavior="isolated")
