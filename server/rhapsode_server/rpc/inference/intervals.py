"""What the numbers that a request gives a graph may be, by the graph's role: as in rhapsode.v1."""

from collections.abc import Mapping
from dataclasses import dataclass

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_server.repository.ranges import ranges
from rhapsode_server.repository.schema import CRITIC, DECODE, ENCODE, GIBBS, TRANSFORM
from rhapsode_server.rpc.convert_latents import BOUND
from rhapsode_server.rpc.input_pictures import reach


@dataclass(frozen=True, slots=True)
class Interval:
    """Both ends belong to it."""

    least: float
    most: float


def intervals(bundle: Bundle, role: int) -> Mapping[str, Interval]:
    """That of each input that has one. What a denoiser is given, and a state, may be any finite numbers."""
    numbers = {name: Interval(each.least, each.end - 1) for name, each in ranges(bundle, role).items()}
    if role == DECODE:
        numbers["latent"] = Interval(-BOUND, BOUND)
    if role == GIBBS:
        numbers["uniform"] = Interval(0, 1)
    if role in (ENCODE, CRITIC, TRANSFORM) and bundle.HasField("image"):
        numbers["image"] = Interval(*reach(bundle.image))
    return numbers
