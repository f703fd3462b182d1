"""Options of diffusion: values to messages."""

from rhapsode.v1 import image_pb2 as pb
from rhapsode_client.convert.scalars import whole
from rhapsode_client.types import DiffusionOptions


def diffusion(options: DiffusionOptions) -> pb.DiffusionOptions:
    """The message of the options. Raises InvalidRequest where a value has the wrong type for its field."""
    message = pb.DiffusionOptions(eta=options.eta, guidance=options.guidance)
    if options.steps is not None:
        message.steps = whole("diffusion.steps", options.steps)
    if options.sampler is not None:
        message.sampler = pb.DiffusionSampler.Value(f"DIFFUSION_SAMPLER_{options.sampler.name}")
    if options.preview_every is not None:
        message.preview_every = whole("diffusion.preview_every", options.preview_every)
    return message
