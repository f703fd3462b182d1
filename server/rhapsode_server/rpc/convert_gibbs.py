"""What a request asks of a Boltzmann machine → the rows of its chains."""

from collections.abc import Sequence
from typing import cast

from rhapsode.v1 import image_pb2
from rhapsode_server.errors import InvalidField, Unsupported
from rhapsode_server.models.attributes import Move
from rhapsode_server.models.gibbs import GibbsRow
from rhapsode_server.models.latents import Draw, Latent
from rhapsode_server.rpc.served import MakeRow, Served


def chains(asked: image_pb2.ImageGeneration, served: Served, one_reply: bool) -> MakeRow:
    """What makes rows of an index, their noise and their class. Raises RequestError where the request does not fit.

    Previews are told in streams alone; with `one_reply` they are refused.
    """
    name = served.loaded.bundle.name
    if asked.WhichOneof("source") == "latents" or asked.return_latents:
        raise Unsupported(f"{name} has no latents: its pictures have no other name than a seed and a row")
    if asked.HasField("truncation") or asked.attributes:
        raise Unsupported(f"{name} has no latents to cut short or to move")
    if asked.HasField("diffusion"):
        raise Unsupported(f"{name} is no diffusion model; `gibbs` has its options")
    options = asked.gibbs
    if one_reply and options.HasField("preview_every"):
        raise InvalidField(
            "generation.gibbs.preview_every", "must not be set in GenerateImages; StreamImages sends them"
        )
    steps = options.steps if options.HasField("steps") else served.loaded.bundle.gibbs.default_steps

    def make(index: int, source: Draw | Latent, class_id: int | None, _moves: Sequence[Move]) -> GibbsRow:
        drawn = cast("Draw", source)  # latents were refused
        return GibbsRow(index, drawn, class_id, steps=steps, preview_every=options.preview_every)

    return make


def refuse_gibbs(asked: image_pb2.ImageGeneration, served: Served) -> None:
    """Raise Unsupported where a request has options for a chain that the model has not."""
    if asked.HasField("gibbs"):
        raise Unsupported(f"{served.loaded.bundle.name} is no Boltzmann machine")
