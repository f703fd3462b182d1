"""A tune of one voice as one line of ABC, the form in which the network of fiddle tunes reads tunes.

A line is `M:metre L:unit K:key body`, parted by single spaces, such as `M:6/8 K:G d|gab g2e|dBA G2:|`. `L:unit` is the
length of a note that has no number, and is left out where it is 1/8. The metre is `C`, `C|` or a fraction; the key is a
note A to G, perhaps `#` or `b`, perhaps a mode: m, mix, dor, phr, lyd or loc. In the body there are notes, rests `z`,
chords, tuplets, broken rhythm, ties, the bars `|`, `||`, `|:`, `:|`, `::`, and `|1 `, `:|2 ` for endings; nothing else.
"""

import re
from fractions import Fraction

EIGHTH = "1/8"

_LINE = re.compile(r"M:(?P<metre>\S+) (?:L:(?P<unit>\S+) )?K:(?P<key>\S+) (?P<body>\S.*)")
# A field begins a line; `A:|` at its beginning is the end of a bar.
_FIELD = re.compile(r"(?P<letter>[A-Za-z]):(?![|:])\s*(?P<value>.*?)\s*")
_METRE = re.compile(r"C\|?|[1-9]\d?/(?:2|4|8|16)")
_UNIT = re.compile(r"1/(?:4|8|16)")
_KEY = re.compile(r"(?P<tonic>[A-G][#b]?) ?(?P<mode>[A-Za-z]*)")
_MODES = {"": "", "maj": "", "ion": "", "m": "m", "min": "m", "aeo": "m"}
_MODES |= {mode: mode for mode in ("mix", "dor", "phr", "lyd", "loc")}
# Fields that change what the prefix says, or begin another voice.
_CHANGES = frozenset("KLMV")
# Chord names and other remarks, grace notes, decorations by name, names of parts.
_ASIDES = re.compile(r'"[^"]*"|\{[^{}]*\}|![^!\s|]+!|\[[PQNR]:[^\]]*\]')
# Decorations by letter, spacing, slurs (a bracket before a digit is a tuplet), what is left of line ends.
_SIGNS = re.compile(r"[~.H-Wh-wy`$*!\\)]|\((?!\d)")
_BROKEN = re.compile(r"\s*([<>]+)\s*")
_BARS = re.compile(r"\s*(?P<run>:*\|[|:\s]*|::)\s*(?:\[?(?P<ending>\d)(?![\d/:])\s*)?")
_NOTE = r"[=^_]{0,2}[A-Ga-g][,']*\d*(?:/+\d*)?"
# Possessive, as "||" could be read in two ways, and many of them in exponentially many.
_BODY = re.compile(
    rf"(?:{_NOTE}|z\d*(?:/+\d*)?|\[(?:{_NOTE})+\]\d*(?:/+\d*)?|\(\d(?::\d?){{0,2}}|[<>]+|-|[|:]+(?:\d )?| )++"
)


def to_line(tune: str) -> str | None:
    """A tune of ABC without title, chord names, grace notes, decorations or slurs; None if it cannot be a line.

    So are tunes of several voices, and those that change key, metre or unit on the way.
    """
    header, body = _parts(tune)
    metre, key, music = header.get("M", ""), _key(header.get("K", "")), _music(body)
    if not (_METRE.fullmatch(metre) and key and _BODY.fullmatch(music)):
        return None
    unit = header.get("L") or _usual_unit(metre)
    return f"M:{metre} {'' if unit == EIGHTH else f'L:{unit} '}K:{key} {music}" if _UNIT.fullmatch(unit) else None


def to_abc(line: str, number: int = 1) -> str:
    """The line as a tune that any ABC program reads. Raises ValueError where it has no prefix or no body."""
    parts = _LINE.fullmatch(line.strip())
    if parts is None:
        raise ValueError("a line of ABC begins with M:metre, perhaps L:unit, K:key; then comes a body")
    unit = parts["unit"] or EIGHTH
    fields = (f"X:{number}", f"T:Tune {number}", f"M:{parts['metre']}", f"L:{unit}", f"K:{parts['key']}")
    return "\n".join((*fields, parts["body"], ""))


def _parts(tune: str) -> tuple[dict[str, str], str]:
    """The fields up to the key by letter, and the lines behind it; none of these where a field there changes things."""
    header: dict[str, str] = {}
    body: list[str] = []
    for line in tune.splitlines():
        text = line.partition("%")[0].strip()
        field = _FIELD.fullmatch(text)
        if field is None and "K" in header:
            body.append(text)
        elif field is not None and "K" not in header:
            header[field["letter"]] = field["value"]
        elif field is not None and field["letter"] in _CHANGES:
            return header, ""
    return header, " ".join(body)


def _usual_unit(metre: str) -> str:
    """The unit of a tune that names none (ABC standard 2.1, section 3.1.7)."""
    return EIGHTH if metre.startswith("C") or Fraction(metre) >= Fraction(3, 4) else "1/16"


def _key(field: str) -> str | None:
    parts = _KEY.fullmatch(field)
    if parts is None:
        return None
    word = parts["mode"]
    mode = _MODES.get(word[:3].lower() if len(word) > 1 else word)
    return None if mode is None else parts["tonic"] + mode


def _music(body: str) -> str:
    """The body with nothing but what sounds and bars, which have no spaces around them."""
    bare = _SIGNS.sub("", _ASIDES.sub("", body)).replace("x", "z").replace("|]", "||").replace("[|", "||")
    music = " ".join(_BARS.sub(_bar, _BROKEN.sub(r"\1", bare)).split())
    return music if music.startswith("|:") else music.lstrip("| ")


def _bar(found: re.Match[str]) -> str:
    """One bar for a run of them: those at the end of a line and at the beginning of the next one are the same bar."""
    run = found["run"].strip()
    closes, opens = run.startswith(":"), run.endswith(":")
    repeat = "::" if closes and opens else ":|" if closes else "|:" if opens else ""
    bar = repeat or ("||" if "||" in run else "|")
    return f"{bar}{found['ending']} " if found["ending"] else bar
