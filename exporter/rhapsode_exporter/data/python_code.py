"""The standard library of the Python that runs, as texts."""

import hashlib
import platform
import sysconfig
from pathlib import Path

from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.data.split import VALIDATION_SHARE, alphabet_of, head, tail
from rhapsode_exporter.errors import DataUnavailableError

# Whole modules, about 5 % of the text.
HELD_OUT = (
    "argparse",
    "calendar",
    "configparser",
    "csv",
    "http",
    "json",
    "sqlite3",
    "statistics",
    "tarfile",
    "textwrap",
)
# Tests and their fixtures, what other packages installed, tables and prose in the form of code, facts of the machine.
LEFT_OUT = frozenset(
    {
        "__pycache__",
        "dist-packages",
        "encodings",
        "idle_test",
        "lib2to3",
        "pydoc_data",
        "site-packages",
        "test",
        "tests",
    }
)
LEFT_OUT_BEGINNINGS = ("_sysconfigdata", "config-", "sitecustomize", "usercustomize")


def load_python_code(cache: Path) -> Corpus:
    """Every top module with all below it as one work; `cache` is not needed, for all of it lies on this machine."""
    del cache
    return corpus_of(Path(sysconfig.get_path("stdlib")))


def corpus_of(folder: Path) -> Corpus:
    """The ASCII sources below a folder. Raises DataUnavailableError where it holds none, or none that is held out."""
    works = _works(folder)
    known = [text for module, text in works.items() if module not in HELD_OUT]
    held_out = tuple(text for module, text in works.items() if module in HELD_OUT)
    if not (known and held_out):
        raise DataUnavailableError(f"{folder} does not hold the sources of Python's standard library")
    title = f"the standard library of Python {platform.python_version()}"
    return Corpus(
        title=title,
        name=f"Sources of {title} without its tests",
        licence="PSF-2.0",
        public=True,
        sha256=hashlib.sha256("".join(works.values()).encode()).hexdigest(),
        held_out_words=f"the whole modules {', '.join(HELD_OUT[:-1])} and {HELD_OUT[-1]}",
        alphabet=alphabet_of(works.values()),
        training=tuple(head(text, VALIDATION_SHARE) for text in known),
        validation=tuple(tail(text, VALIDATION_SHARE) for text in known),
        held_out=held_out,
    )


def _works(folder: Path) -> dict[str, str]:
    """The sources of each top module, one behind the other, in the order of their paths."""
    works: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if LEFT_OUT.isdisjoint(parts) and not parts[0].startswith(LEFT_OUT_BEGINNINGS):
            source = _source(path)
            if source:
                works.setdefault(parts[0], []).append(source)
    return {module: "".join(sources) for module, sources in works.items()}


def _source(path: Path) -> str | None:
    """A file's text with plain line ends; None where it is not all ASCII."""
    content = path.read_bytes()
    return content.decode("ascii").replace("\r\n", "\n") if content.isascii() else None
