"""A data set of texts, split for training, choosing and judging."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

START = "\n"
"""What stands before the first character of a text, and after the last one of a document."""

Ids = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts over one alphabet, split: `training` to learn from, `validation` to choose by, `held_out` to judge by.

    `held_out_words` says what was held out; `public` whether the weights may be given away. The texts are long works,
    each of which is cut in two, for `training` and for `validation`; or `documents`, such as headlines, each of which
    stands alone and ends with START, which stands nowhere else in it. Where there are `classes`, each document begins
    with the one character of its class, which is no part of its text; the first class is the usual one.
    """

    title: str
    name: str
    licence: str
    public: bool
    sha256: str
    held_out_words: str
    alphabet: tuple[str, ...]
    training: tuple[str, ...]
    validation: tuple[str, ...]
    held_out: tuple[str, ...]
    documents: bool = False
    classes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The character that stands for each class, by the class's name."""

    @property
    def start(self) -> str:
        """The character that is fed before a text of no class in particular."""
        return next(iter(self.classes.values()), START)

    @property
    def known(self) -> tuple[str, ...]:
        """All that is not held out, for what chooses nothing: the works whole, or all other documents."""
        if self.documents:
            return (*self.training, *self.validation)
        return tuple(head + tail for head, tail in zip(self.training, self.validation, strict=True))

    def ids(self, text: str) -> Ids:
        """The text's characters as positions in the alphabet."""
        table = np.zeros(1 + max(map(ord, self.alphabet)), np.uint8)
        table[[ord(character) for character in self.alphabet]] = np.arange(len(self.alphabet))
        return table[np.frombuffer(text.encode("utf-32-le"), np.uint32)]

    def whole(self, texts: Sequence[str]) -> list[Ids]:
        """Each text with the character before its first one, which is not to be learned or judged."""
        return [self.ids(text if self.classes else START + text) for text in texts]
