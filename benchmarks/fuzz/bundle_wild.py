"""Values that no honest bundle has, drawn by a seeded generator."""

import math
from random import Random
from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

_WHOLE = (0, 1, -1, 2, 3, 7, 33, 64, 127, 255, 2**15, 2**16, 10**6, 2**30, 2**31 - 1, 2**31, 2**32, 2**40, 2**63 - 1)
_REAL = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-9, 0.5, 1e9, 3.4e38, 1e300, math.inf, -math.inf, math.nan)
_TEXTS = ("", " ", "\n", "\0", "a\0b", "../x", "/etc/passwd", "*/_ORT_MEM_ADDR_/*", "batch", "…", "x" * 300, "\x1b[31m")


def whole(dice: Random, bits: int = 64, signed: bool = True) -> int:
    """A whole number of a field with so many bits."""
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    value = dice.choice(_WHOLE) * dice.choice((1, 1, 1, -1)) if dice.random() < 0.8 else dice.randint(least, most)
    return int(min(max(value, least), most))


def real(dice: Random) -> float:
    """Any double."""
    return dice.choice(_REAL) if dice.random() < 0.7 else dice.uniform(-100, 100)


def text(dice: Random) -> str:
    """A text, now and then a long one."""
    return dice.choice(_TEXTS) if dice.random() < 0.9 else chr(dice.randint(1, 0xD7FF)) * dice.choice((1, 5, 5000))


def spoilt_bytes(content: bytes, dice: Random) -> bytes:
    """Bits turned over, or a piece cut out, said twice, or made of noise."""
    spoilt = bytearray(content)
    where = dice.randrange(len(spoilt) + 1)
    length = min(dice.choice((1, 1, 2, 4, 8, 64, 4096)), len(spoilt) - where)
    way = dice.randrange(5)
    if way == 0 and spoilt:
        for _ in range(dice.choice((1, 1, 1, 8, 64))):
            spoilt[dice.randrange(len(spoilt))] ^= 1 << dice.randrange(8)
    elif way == 1:
        del spoilt[where:]
    elif way == 2:
        del spoilt[where : where + length]
    elif way == 3:
        spoilt[where:where] = spoilt[where : where + length]
    else:
        spoilt[where : where + length] = dice.randbytes(length)
    return bytes(spoilt)


def spoilt_json(value: Json, dice: Random) -> Json:
    """The same document with one thing in it changed, somewhere."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key = dice.choice(list(value))
        if dice.random() < 0.1:
            return {name: entry for name, entry in value.items() if name != key}
        return {**value, key: spoilt_json(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.9:
        place = dice.randrange(len(value))
        if dice.random() < 0.2:
            return value[:place] + value[place + 1 :] if dice.random() < 0.5 else [*value, value[place]]
        return [*value[:place], spoilt_json(value[place], dice), *value[place + 1 :]]
    nested: Json = []
    for _ in range(dice.choice((0, 5, 200))):
        nested = [nested]
    return dice.choice((None, True, whole(dice), -whole(dice), 10 ** dice.choice((20, 400)), text(dice), {}, nested))
