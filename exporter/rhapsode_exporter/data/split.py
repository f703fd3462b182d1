"""How the texts of a data set are split for training, choosing and judging."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

VALIDATION_SHARE = 0.01
MOST_VALIDATION_DOCUMENTS = 500
HELD_OUT_SHARE = 0.05
HELD_OUT_DOCUMENTS = f"{HELD_OUT_SHARE:.0%} of the documents, chosen by their SHA-256"
SEED = 0


@dataclass(frozen=True, slots=True)
class Split:
    """Documents to learn from, to choose by, to judge by; no document is in two of them."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    held_out: tuple[str, ...]

    @property
    def alphabet(self) -> tuple[str, ...]:
        """Every character of all parts."""
        return alphabet_of(self.training + self.validation + self.held_out)


def split_documents(documents: Iterable[str]) -> Split:
    """The different documents in the order of their salted SHA-256, cut; so the order in which they came is nothing."""
    shuffled = sorted(set(documents), key=lambda document: hashlib.sha256(f"{SEED} {document}".encode()).digest())
    held_out = int(len(shuffled) * HELD_OUT_SHARE)
    known = held_out + min(int(len(shuffled) * VALIDATION_SHARE), MOST_VALIDATION_DOCUMENTS)
    return Split(
        training=tuple(shuffled[known:]),
        validation=tuple(shuffled[held_out:known]),
        held_out=tuple(shuffled[:held_out]),
    )


def alphabet_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Every character of the texts once, in order of code points."""
    return tuple(sorted(set().union(*texts)))


def head(text: str, share: float) -> str:
    """A work without its last `share`."""
    return text[: _cut(text, share)]


def tail(text: str, share: float) -> str:
    """The last `share` of a work."""
    return text[_cut(text, share) :]


def _cut(text: str, share: float) -> int:
    return len(text) - int(len(text) * share)
