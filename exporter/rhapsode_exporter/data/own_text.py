"""A user's own text, as long works or line by line, split for training and judging."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rhapsode_exporter.data.corpus import START, Corpus
from rhapsode_exporter.data.split import (
    HELD_OUT_DOCUMENTS,
    HELD_OUT_SHARE,
    VALIDATION_SHARE,
    Split,
    alphabet_of,
    head,
    split_documents,
    tail,
)
from rhapsode_exporter.errors import DataUnavailableError

FEWEST_CHARACTERS = 10_000
FEWEST_DOCUMENTS = 100


def load_own(path: Path, documents: bool = False) -> Corpus:
    """A user's text: one UTF-8 file, or every .txt file below a folder.

    The last 5 % of each file is held out; or, where each line that is not empty is to be one of `documents`, 5 % of the
    different ones. Raises DataUnavailableError where there is no text, too little of it, or more than 256 different
    characters.
    """
    texts = _read_texts(path)
    alphabet = alphabet_of((START, *texts))
    if len(alphabet) > np.iinfo(np.uint8).max + 1:
        raise DataUnavailableError(f"{path} has {len(alphabet)} different characters; at most 256 can be learned")
    split = _split_lines(path, texts) if documents else _split_works(path, texts)
    return Corpus(
        title=path.name,
        name=f"{path.name} (the user's own text)",
        licence="not stated",
        public=False,
        sha256=hashlib.sha256("".join(texts).encode()).hexdigest(),
        held_out_words=HELD_OUT_DOCUMENTS if documents else f"the last {HELD_OUT_SHARE:.0%} of each file",
        alphabet=alphabet,
        training=split.training,
        validation=split.validation,
        held_out=split.held_out,
        documents=documents,
    )


def _split_works(path: Path, texts: Sequence[str]) -> Split:
    if sum(map(len, texts)) < FEWEST_CHARACTERS:
        raise DataUnavailableError(f"{path} holds too little text: at least {FEWEST_CHARACTERS:,} characters")
    known = [head(text, HELD_OUT_SHARE) for text in texts]
    return Split(
        training=tuple(head(text, VALIDATION_SHARE) for text in known),
        validation=tuple(tail(text, VALIDATION_SHARE) for text in known),
        held_out=tuple(tail(text, HELD_OUT_SHARE) for text in texts),
    )


def _split_lines(path: Path, texts: Sequence[str]) -> Split:
    lines = {line.strip() + START for text in texts for line in text.split(START) if line.strip()}
    if len(lines) < FEWEST_DOCUMENTS:
        raise DataUnavailableError(f"{path} has {len(lines)} different lines; at least {FEWEST_DOCUMENTS} are needed")
    return split_documents(lines)


def _read_texts(path: Path) -> Sequence[str]:
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    try:
        texts = [file.read_text(encoding="utf-8-sig") for file in files]  # some editors write a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise DataUnavailableError(f"cannot read {path} as UTF-8 text: {error}") from error
    return texts
