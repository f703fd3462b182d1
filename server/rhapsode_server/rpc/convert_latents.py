"""Latents and edits of a request → points in latent space and the moves from there."""

from collections.abc import Sequence

import numpy as np

from rhapsode.v1 import image_pb2
from rhapsode_server.errors import InvalidField, Unsupported
from rhapsode_server.models.attributes import Move, moved, reach
from rhapsode_server.models.latents import Latent
from rhapsode_server.rpc.packed import floats
from rhapsode_server.rpc.served import Served

BOUND = 1000.0  # of every number of a latent, as beside Latent.values
DRAWN = 10.0  # no number that is drawn is further from zero, whatever the prior


def latent(asked: image_pb2.Latent, served: Served, field: str) -> Latent:
    """A latent's numbers: float32 [size]. Raises InvalidField where they are not as many as the model's."""
    size = served.loaded.bundle.latent.size
    if len(asked.values) != size:
        rule = f"must have {size} elements, the model's latent size, not {len(asked.values)}"
        raise InvalidField(f"{field}.values", rule, {"size": str(size)})
    return floats(asked, size)


def moves(asked: Sequence[image_pb2.AttributeEdit], served: Served, field: str) -> Sequence[Move]:
    """Edits that are within their bounds, as moves. Raises RequestError where the model has no such direction."""
    return [_move(edit, served, f"{field}[{place}]") for place, edit in enumerate(asked)]


def edited(start: Latent, steps: Sequence[Move], field: str) -> Latent:
    """A latent after moves. Raises InvalidField, naming `field`, where they lead out of a latent's bounds."""
    if not steps:
        return start
    end = moved(start, steps)
    _check_inside(float(np.abs(end).max()), field)
    return end


def check_drawn(steps: Sequence[Move], field: str) -> None:
    """Raise InvalidField where moves could lead a latent that is yet to be drawn out of a latent's bounds."""
    _check_inside(reach(steps) + DRAWN if steps else 0.0, field)


def _check_inside(furthest: float, field: str) -> None:
    if not furthest <= BOUND:
        text = f"must not lead out of the bounds of a latent's numbers, [-{BOUND:g}, {BOUND:g}]"
        raise InvalidField(field, text, {"min": f"-{BOUND:g}", "max": f"{BOUND:g}"})


def _move(asked: image_pb2.AttributeEdit, served: Served, field: str) -> Move:
    match asked.WhichOneof("direction"):
        case "name":
            return _named(asked, served, field)
        case "vector":
            strength = asked.strength if asked.HasField("strength") else 1.0
            return Move(latent(asked.vector, served, f"{field}.vector"), strength)
        case _:
            raise InvalidField(field, "must have a name or a vector")


def _named(asked: image_pb2.AttributeEdit, served: Served, field: str) -> Move:
    bundle = served.loaded.bundle
    if not bundle.attributes:
        raise Unsupported(f"{bundle.name} has no named attributes; give a vector, as FitAttribute does")
    for attribute in bundle.attributes:
        if attribute.name == asked.name:
            strength = asked.strength if asked.HasField("strength") else attribute.strength
            return Move(served.loaded.attributes[attribute.name], strength)
    raise InvalidField(f"{field}.name", "must be one of the model's attributes")
