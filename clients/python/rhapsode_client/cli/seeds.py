"""Lists of seeds as people write them."""

import typer

MOST = 4096


def seed_list(written: str) -> tuple[int, ...]:
    """The seeds of a list such as "0,1,4-6": 0, 1, 4, 5, 6. Raises a usage error where it is none."""
    seeds: list[int] = []
    for part in written.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise typer.BadParameter(f'"{part}" is neither a seed nor a range of seeds; write for example 0,1,4-6')
        low, high = int(first), int(last or first)
        if high < low or high - low >= MOST:
            raise typer.BadParameter(f'"{part}" must go upwards, over at most {MOST} seeds')
        seeds.extend(range(low, high + 1))
    return tuple(seeds)
