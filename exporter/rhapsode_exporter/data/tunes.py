"""Fiddle tunes of three printed collections, each as one line of ABC."""

import re
from collections.abc import Iterable
from pathlib import Path

from rhapsode_exporter.data.abc_line import to_line
from rhapsode_exporter.data.archives import MUSIC21, fetch, read_members
from rhapsode_exporter.data.corpus import START, Corpus
from rhapsode_exporter.data.document_corpus import document_corpus

COLLECTIONS = ("oneills1850", "ryansMammoth", "airdsAirs")
SHORTEST, LONGEST = 80, 600

_NEXT_TUNE = re.compile(r"^(?=X:)", re.MULTILINE)


def load_tunes(cache: Path) -> Corpus:
    """The tunes of O'Neill (1903), Ryan (1883) and Aird (1782-1801) in music21 10.5.1 on PyPI; see to_line."""
    members = read_members(fetch(MUSIC21, cache), ".abc")
    books = [content for name, content in sorted(members.items()) if name.split("/")[-2] in COLLECTIONS]
    documents = lines_of(book.decode("utf-8", errors="replace") for book in books)
    return document_corpus(
        documents,
        MUSIC21,
        title="fiddle tunes of O'Neill, Ryan and Aird",
        name="Fiddle tunes of O'Neill's Music of Ireland, Ryan's Mammoth Collection and Aird's Airs "
        "(package music21 10.5.1 on PyPI)",
        licence="tunes in the public domain; transcriptions in music21 with permission; package BSD-3-Clause",
    )


def lines_of(books: Iterable[str]) -> list[str]:
    """The documents of books of ABC: tunes whose bodies have 80 to 600 characters, no body twice."""
    tunes: dict[str, str] = {}
    for book in books:
        for tune in _NEXT_TUNE.split(book):
            line = to_line(tune)
            body = line.partition(" K:")[2].partition(" ")[2] if line else ""
            if line and SHORTEST <= len(body) <= LONGEST:
                tunes.setdefault(body, line + START)
    return list(tunes.values())
