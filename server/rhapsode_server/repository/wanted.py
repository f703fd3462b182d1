"""Which versions of which models should be served."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from rhapsode_server.repository.residents import Key

Aliases: TypeAlias = Mapping[str, Mapping[str, int]]
"""By model: the versions that its aliases name."""


def wanted(present: Iterable[Key], aliases: Aliases, newest: int) -> Sequence[Key]:
    """Of the versions that are there the `newest` of each model (0 for all), besides those that an alias names.

    The most important come first, since there may not be room for all: those that an alias names, then the newest of
    each model, then the next newest.
    """
    named = {(name, version) for name, those in aliases.items() for version in those.values()}
    ranks = _ranks(present)
    chosen = [key for key, rank in ranks.items() if key in named or not newest or rank < newest]
    return sorted(chosen, key=lambda key: (key not in named, ranks[key], key))


def _ranks(present: Iterable[Key]) -> Mapping[Key, int]:
    """How many newer versions of its model are there, for each."""
    seen: dict[str, int] = {}
    ranks: dict[Key, int] = {}
    for name, version in sorted(set(present), reverse=True):
        ranks[name, version] = seen.get(name, 0)
        seen[name] = ranks[name, version] + 1
    return ranks
