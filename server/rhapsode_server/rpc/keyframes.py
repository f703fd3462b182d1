"""Keyframes of a request: points of latent space, or pictures that have yet to be encoded, and the moves from there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rhapsode.v1 import image_pb2
from rhapsode.v1.bundle_pb2 import LATENT_PRIOR_NORMAL
from rhapsode_server.errors import InvalidField, Unsupported
from rhapsode_server.models.attributes import Move
from rhapsode_server.models.latents import Draw, Latent, Prior, draw
from rhapsode_server.rpc.convert_latents import edited, latent, moves
from rhapsode_server.rpc.input_pictures import Field
from rhapsode_server.rpc.served import EncodeDriver, Served


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One keyframe. A point that is a latent has made its moves already."""

    place: Latent | Field
    moves: Sequence[Move]
    field: str
    """Where its edits stand, for error messages."""


@dataclass(frozen=True, slots=True)
class Keyframes:
    """All keyframes of a request, in order."""

    points: Sequence[Point]

    @property
    def pictures(self) -> Sequence[Field]:
        """Those that have to be encoded."""
        return [point.place for point in self.points if isinstance(point.place, Field)]

    def latents(self, means: Iterable[Latent]) -> Sequence[Latent]:
        """All as latents after their moves, given the means of `pictures` in their order.

        Raises InvalidField where the moves from a picture lead out of a latent's bounds.
        """
        rest = iter(means)
        return [
            edited(next(rest), point.moves, point.field) if isinstance(point.place, Field) else point.place
            for point in self.points
        ]


def keyframes(
    asked: Sequence[image_pb2.Keyframe], served: Served, field: str, common: Sequence[Move] = ()
) -> Keyframes:
    """Read keyframes; each makes its own moves, then the common ones. Raises RequestError where one does not fit."""
    return Keyframes([_point(one, served, f"{field}[{place}]", common) for place, one in enumerate(asked)])


def encoder(served: Served) -> EncodeDriver:
    """The driver that encodes pictures. Raises Unsupported where the model has no encoder."""
    if served.encode is None:
        raise Unsupported(f"{served.loaded.bundle.name} has no encoder")
    return served.encode


def _point(asked: image_pb2.Keyframe, served: Served, field: str, common: Sequence[Move]) -> Point:
    own = moves(asked.edits, served, f"{field}.edits")
    steps, blamed = [*own, *common], f"{field}.edits" if own or not common else "edits"
    place = _place(asked, served, field)
    return Point(place if isinstance(place, Field) else edited(place, steps, blamed), steps, blamed)


def _place(asked: image_pb2.Keyframe, served: Served, field: str) -> Latent | Field:
    match asked.WhichOneof("point"):
        case "seed":
            spec = served.loaded.bundle.latent
            prior = Prior.NORMAL if spec.prior == LATENT_PRIOR_NORMAL else Prior.UNIFORM
            return draw(Draw(asked.seed, 0), spec.size, prior)
        case "latent":
            return latent(asked.latent, served, f"{field}.latent")
        case "image":
            encoder(served)
            return Field(f"{field}.image.data", asked.image)
        case _:
            raise InvalidField(field, "must have a seed, a latent or an image")
