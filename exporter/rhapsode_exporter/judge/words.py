"""The share of a text's words that another text has too."""

import re
from collections.abc import Iterable, Sequence

# Letters, and apostrophes between them.
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def words(texts: Iterable[str]) -> list[str]:
    """All words of the texts, in lower case."""
    return [word.lower() for text in texts for word in WORD.findall(text)]


def known_share(sample: Sequence[str], known: Iterable[str]) -> float | None:
    """The share of the sample's words, each as often as it stands there, that are words of the known texts.

    None where the sample has no words.
    """
    ours, theirs = words(sample), set(words(known))
    return sum(word in theirs for word in ours) / len(ours) if ours else None
