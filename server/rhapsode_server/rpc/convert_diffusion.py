"""What a request asks of a diffusion model → the rows that it takes noise out of."""

from collections.abc import Sequence

from rhapsode.v1 import image_pb2
from rhapsode_server.errors import InvalidField, Unsupported
from rhapsode_server.models.attributes import Move
from rhapsode_server.models.denoiser import Denoiser, DenoiseRow, Way
from rhapsode_server.models.latents import Draw, Latent
from rhapsode_server.models.schedules import course
from rhapsode_server.rpc.served import MakeRow, Served

PATH = "generation.diffusion"
_USUAL = image_pb2.DiffusionOptions()


def usual_rows(denoiser: Denoiser, served: Served) -> MakeRow:
    """What makes rows of an index, their noise and their class, where a request has nothing to say of the way."""
    return _rows(_way(_USUAL, denoiser, served))


def asked_rows(asked: image_pb2.ImageGeneration, denoiser: Denoiser, served: Served, one_reply: bool) -> MakeRow:
    """What makes rows of an index, their noise and their class. Raises RequestError where the request does not fit.

    Previews are told in streams alone; with `one_reply` they are refused.
    """
    options = asked.diffusion
    if one_reply and options.HasField("preview_every"):
        raise InvalidField(f"{PATH}.preview_every", "must not be set in GenerateImages; StreamImages sends previews")
    if options.HasField("guidance") and not served.loaded.bundle.classes:
        raise Unsupported(f"{served.loaded.bundle.name} has no classes to be guided to")
    way = _way(options, denoiser, served)
    if way.course.draws and asked.WhichOneof("source") == "latents":
        rule = "must take no fresh noise beside latents: there is no seed to draw it with"
        raise InvalidField(PATH, rule)
    return _rows(way)


def refuse_diffusion(asked: image_pb2.ImageGeneration, served: Served) -> None:
    """Raise Unsupported where a request has options for a way through noise that the model does not go."""
    if asked.HasField("diffusion"):
        raise Unsupported(f"{served.loaded.bundle.name} is no diffusion model")


def _rows(way: Way) -> MakeRow:
    def make(index: int, source: Draw | Latent, class_id: int | None, moves: Sequence[Move]) -> DenoiseRow:
        return DenoiseRow(index, source, class_id, moves, way=way)

    return make


def _way(options: image_pb2.DiffusionOptions, denoiser: Denoiser, served: Served) -> Way:
    spec = served.loaded.bundle.diffusion
    steps = options.steps if options.HasField("steps") else spec.default_steps
    if steps > spec.training_steps:
        rule = f"must be in [1, {spec.training_steps}], the steps that the model was trained with"
        raise InvalidField(f"{PATH}.steps", rule, {"min": "1", "max": str(spec.training_steps)})
    guidance = options.guidance if options.HasField("guidance") else spec.default_guidance or 1.0
    return Way(course(denoiser.signal, steps, _eta(options)), guidance, options.preview_every)


def _eta(options: image_pb2.DiffusionOptions) -> float:
    if options.sampler != image_pb2.DIFFUSION_SAMPLER_ANCESTRAL:
        return options.eta
    if options.HasField("eta"):
        raise InvalidField(f"{PATH}.eta", "must not be set with the ancestral sampler, whose noise is all fresh")
    return 1.0
