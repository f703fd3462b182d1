"""Typographic characters in the plain ones of a typewriter."""

from collections.abc import Iterable
from dataclasses import dataclass

PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–−", "-"),
        **dict.fromkeys("—―", "--"),
        **dict.fromkeys("\u00a0\u2002\u2003\u2009\u202f\t", " "),
        **dict.fromkeys("\u200b\u200e\u200f\ufeff\ufe0f", ""),
        "…": "...",
    }
)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A text over an alphabet, and how many of the characters that it came from had no place in it."""

    text: str
    dropped: int


def plain(text: str) -> str:
    """The text with straight quotation marks, hyphens for dashes, and spaces of one width."""
    return text.translate(PLAIN)


def as_alphabet(text: str, alphabet: Iterable[str]) -> Fitted:
    """The text over the characters of an alphabet: what is not in it becomes plain, or is dropped and counted."""
    known = frozenset(alphabet)
    fitted = "".join(character if character in known else plain(character) for character in text)
    kept = "".join(character for character in fitted if character in known)
    return Fitted(kept, len(fitted) - len(kept))
