"""A novel of another author, on which models of Shakespeare are judged too."""

from pathlib import Path

from rhapsode_exporter.data.archives import MUSIC21, fetch, read_members

MEMBER = "languageExcerpts/trainingData/en.txt"
PUBLISHER = "Project Gutenberg"


def load_other_author(cache: Path) -> str:
    """Jane Austen's Lady Susan (in the public domain; music21 10.5.1 on PyPI), without its publisher's lines."""
    (content,) = read_members(fetch(MUSIC21, cache), MEMBER).values()
    return without_publisher(content.decode("utf-8"))


def without_publisher(text: str) -> str:
    """The text without lines that name the publisher, and without empty ones at its ends."""
    lines = [line for line in text.splitlines() if PUBLISHER not in line]
    return "\n".join(lines).strip() + "\n"
