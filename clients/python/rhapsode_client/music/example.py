"""A tune out of somebody's file of ABC, in the form that a model has learned."""

import re
from collections.abc import Collection
from fractions import Fraction

from rhapsode_client.errors import UnreadableTune
from rhapsode_client.music.line import EIGHTH, KEY, METRE, UNIT, Tune

_FIELD = re.compile(r"(?P<letter>[A-Za-z]):(?![|:])\s*(?P<value>.*?)\s*")
_KEY = re.compile(r"(?P<tonic>[A-G][#b]?) ?(?P<mode>[A-Za-z]*)")
_MODES = {"": "", "maj": "", "ion": "", "m": "m", "min": "m", "aeo": "m"}
# Chord names and other remarks, grace notes, decorations by name, fields among the notes.
_ASIDES = re.compile(r'"[^"]*"|\{[^{}]*\}|![^!\s|]+!|\[[A-Za-z]:[^\]]*\]')
_SLURS = re.compile(r"\((?!\d)|\)")
_BROKEN = re.compile(r"\s*([<>]+)\s*")
# A run of bar lines, as where one line ends with one and the next line begins with one.
_BARS = re.compile(r"\s*(?P<run>:*\|[|:\s]*|::)\s*(?:\[?(?P<ending>\d)(?![\d/:])\s*)?")


def read_example(abc: str, known: Collection[str]) -> Tune:
    """The first tune of a file without chord names, grace notes, slurs and the signs that are not `known`.

    Raises UnreadableTune where it has no metre, unit, key or notes such as a model of tunes knows.
    """
    fields, lines = _parts(abc)
    metre, key = fields.get("M", ""), _key(fields.get("K", ""))
    body = _music(" ".join(lines), known)
    if not METRE.fullmatch(metre) or not KEY.fullmatch(key) or not body:
        raise UnreadableTune("the example needs a metre (M:6/8), a key (K:G) and notes")
    unit = fields.get("L") or _usual_unit(metre)
    if not UNIT.fullmatch(unit):
        raise UnreadableTune(f"the length of the example's notes is a part of a whole one (L:1/8), not {unit!r}")
    return Tune(metre, unit, key, body)


def last_part(body: str, most: int) -> str:
    """The end of a body, at most so many characters, from a bar's beginning on. Empty where no whole bar fits."""
    if len(body) <= most:
        return body
    return body[len(body) - most :].partition("|")[2].lstrip("|: ") if most > 0 else ""


def _parts(abc: str) -> tuple[dict[str, str], list[str]]:
    fields: dict[str, str] = {}
    lines: list[str] = []
    for line in abc.splitlines():
        text = line.partition("%")[0].strip()
        field = _FIELD.fullmatch(text)
        if field is None:
            lines += [text] if "K" in fields else []
        elif field["letter"] == "X" and lines:
            break
        elif "K" not in fields:
            fields[field["letter"]] = field["value"]
    return fields, lines


def _key(field: str) -> str:
    parts = _KEY.match(field)
    if parts is None:
        return ""
    mode = parts["mode"] if parts["mode"] in ("", "m") else parts["mode"][:3].lower()
    return parts["tonic"] + _MODES.get(mode, mode)


def _usual_unit(metre: str) -> str:
    """The unit of a tune that names none (ABC standard 2.1, section 3.1.7)."""
    return EIGHTH if metre.startswith("C") or Fraction(metre) >= Fraction(3, 4) else "1/16"


def _music(body: str, known: Collection[str]) -> str:
    bare = _SLURS.sub("", _ASIDES.sub("", body)).replace("|]", "||").replace("[|", "||")
    signs = _BARS.sub(_bar, _BROKEN.sub(r"\1", "".join(sign for sign in bare if sign in known)))
    music = " ".join(signs.split())
    return music if music.startswith("|:") else music.lstrip("| ")


def _bar(found: re.Match[str]) -> str:
    run = found["run"].strip()
    closes, opens = run.startswith(":"), run.endswith(":")
    repeat = "::" if closes and opens else ":|" if closes else "|:" if opens else ""
    bar = repeat or ("||" if "||" in run else "|")
    return f"{bar}{found['ending']} " if found["ending"] else bar
