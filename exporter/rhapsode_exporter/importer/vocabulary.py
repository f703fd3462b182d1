"""The tokens of a sequence model, from a list, a string of characters, a text file or a tokenizer."""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rhapsode.v1.bundle_pb2 import Vocabulary
from rhapsode_exporter.importer import limits
from rhapsode_exporter.importer.section import Section, is_unicode, shown
from rhapsode_exporter.importer.tokenizer_file import KEY as TOKENIZER
from rhapsode_exporter.importer.tokenizer_file import read_tokenizer

RULE = "M6"
SHOWN = 3  # of many equal problems, as many are told
SOURCES = ("tokens", "characters", "file", TOKENIZER)
_ESCAPE = re.compile(r"\\(?:([nrt\\])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|.?)", re.DOTALL)
_SHORT = dict(zip("nrt\\", "\n\r\t\\", strict=True))
_FILE_BYTES = 64 * 2**20  # far more than the most tokens of the most characters that are of use


def read_vocabulary(section: Section, folder: Path) -> Vocabulary:
    """The vocabulary that a section describes; without tokens where it is wrong. Files lie relative to `folder`."""
    given = [source for source in SOURCES if source in section]
    if len(given) != 1:
        section.wrong("", f"needs exactly one of: {', '.join(SOURCES)}; it has {' and '.join(given) or 'none'}", RULE)
    if given == [TOKENIZER]:
        vocabulary = _of_tokenizer(section, folder)
    else:
        vocabulary = Vocabulary(tokens=_tokens(section, given[0], folder) if len(given) == 1 else [])
    tokens = list(vocabulary.tokens)
    for key in ("start_token", "end_token", "unknown_token"):
        if key in section and tokens:
            identity = _identity(section, key, tokens)
            if identity is not None:
                setattr(vocabulary, key, identity)
    section.refuse_rest()
    return vocabulary


def _of_tokenizer(section: Section, folder: Path) -> Vocabulary:
    found = read_tokenizer(section, folder)
    if found is None or not check_texts(section, TOKENIZER, found.tokens, limits.VOCABULARY):
        return Vocabulary()
    return Vocabulary(
        tokens=found.tokens, byte_level=found.byte_level, tokenizer=True, unknown_token=found.unknown_token
    )


def check_texts(section: Section, key: str, texts: Sequence[str], most: int, *, lines: bool = False) -> bool:
    """Whether a list of tokens or class names keeps rule M6; what is wrong becomes problems of the section.

    `lines` counts entries as the lines of a file, from 1 up, instead of as ids.
    """
    unit, first = ("line", 1) if lines else ("entry", 0)
    found = [f"has {len(texts)} entries, the most is {most}"] if len(texts) > most else []
    for text in [text for text, count in Counter(texts).items() if count > 1][:SHOWN]:
        one, other = [place for place, there in enumerate(texts, first) if there == text][:2]
        found.append(f"{unit} {one} and {unit} {other} are both {shown(text)}; no two may be equal")
    unfit = [place for place, text in enumerate(texts) if not 0 < len(text) <= limits.TOKEN_CHARACTERS][:SHOWN]
    wanted = f"it must have 1 to {limits.TOKEN_CHARACTERS}"
    found.extend(f"{unit} {place + first} has {len(texts[place])} characters; {wanted}" for place in unfit)
    for text in found:
        section.wrong(key, text, RULE)
    return not found


def unescape(text: str) -> str:
    r"""A line of a vocabulary file without its escapes: \n, \r, \t, \\, \xhh, \uhhhh, \Uhhhhhhhh.

    Raises ValueError, which names it, where an escape is none of these.
    """
    return _ESCAPE.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    short, *codes = match.groups()
    if short:
        return _SHORT[short]
    code = int(next((code for code in codes if code), "-1"), 16)
    if not 0 <= code <= sys.maxunicode:
        raise ValueError(f"{match.group()} is no escape")
    if not is_unicode(chr(code)):
        raise ValueError(f"{match.group()} is half of a pair of surrogates, which is no character")
    return chr(code)


def _tokens(section: Section, source: str, folder: Path) -> list[str]:
    before = len(section.problems)
    if source == "tokens":
        found = section.texts(source, RULE)
    elif source == "characters":
        found = list(section.text(source, RULE))
    else:
        found = _file_tokens(section, folder / section.text(source, RULE))
    if len(section.problems) > before:
        return []
    if not found:
        section.wrong(source, "has no tokens", RULE)
    return found if check_texts(section, source, found, limits.VOCABULARY, lines=source == "file") else []


def _file_tokens(section: Section, path: Path) -> list[str]:
    """A token a line. Only a line feed ends a line; a carriage return before it, and a last empty line, are dropped."""
    try:
        if path.stat().st_size > _FILE_BYTES:
            section.wrong("file", f"{path.name} is larger than {_FILE_BYTES} bytes", RULE)
            return []
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        section.wrong(
            "file", f"{path.name or '.'} cannot be read: {error.strerror} (looked for beside bundle.yaml)", RULE
        )
        return []
    except UnicodeDecodeError as error:
        section.wrong("file", f"{path.name} is not UTF-8 at byte {error.start}", RULE)
        return []
    return list(_unescaped(section, lines if lines[-1] else lines[:-1]))


def _unescaped(section: Section, lines: Sequence[str]) -> Iterator[str]:
    wrong = 0
    for number, line in enumerate(lines, 1):
        try:
            yield unescape(line.removesuffix("\r"))
        except ValueError as error:
            section.wrong("file", f"line {number}: {error}; a backslash itself is written \\\\", RULE)
            wrong += 1
        if wrong == SHOWN:
            return


def _identity(section: Section, key: str, tokens: Sequence[str]) -> int | None:
    """The id of a token that is named by its text, or by its id as a number."""
    value = section.value(key)
    if isinstance(value, str) and value in tokens:
        return tokens.index(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(tokens):
        return value
    section.wrong(key, f"is {shown(value)}; it is the text of a token, or its id in [0, {len(tokens) - 1}]", RULE)
    return None
