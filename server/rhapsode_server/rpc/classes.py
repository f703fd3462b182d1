"""Classes by name: which tokens stand before a sequence of one, and which names there are."""

from collections.abc import Iterator, Sequence

from rhapsode_server.errors import InvalidField
from rhapsode_server.rpc.served import Served

_SHOWN = 300  # characters of names that a refusal tells; none is longer than 256


def class_prefix(name: str, field: str, served: Served) -> tuple[int, ...]:
    """The tokens that stand before a sequence of the class; none where `name` is empty.

    Raises InvalidField, with the names that there are, where the model was taught no class of that name.
    """
    if not name:
        return ()
    classes = served.loaded.bundle.sequence.classes
    for each in classes:
        if each.name == name:
            return tuple(each.prefix_token_ids)
    raise no_such_class(field, [each.name for each in classes])


def no_such_class(field: str, names: Sequence[str]) -> InvalidField:
    """The refusal of a class that is none of `names`, as many of which it tells as are few enough to be read."""
    if not names:
        return InvalidField(field, "must be empty: the model knows no classes")
    shown = list(_first(names))
    more = f", or another of its {len(names)} classes" if len(shown) < len(names) else ""
    return InvalidField(field, f"must be one of: {', '.join(map(repr, shown))}{more}", {"classes": str(len(names))})


def _first(names: Sequence[str]) -> Iterator[str]:
    room = _SHOWN
    for name in names:
        room -= len(name)
        if room < 0:
            return
        yield name
