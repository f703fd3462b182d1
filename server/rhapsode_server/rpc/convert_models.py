"""A served model → what ModelService tells about it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode.v1.bounds_pb2 import bounds
from rhapsode.v1.bundle_pb2 import DiffusionSpec, GibbsSpec, SequenceSpec
from rhapsode_server.config import Config
from rhapsode_server.repository.residents import State, Status
from rhapsode_server.rpc.convert_images import images_per_reply
from rhapsode_server.rpc.convert_text import longest_prompt
from rhapsode_server.rpc.judging import judges
from rhapsode_server.rpc.pictures import writer
from rhapsode_server.rpc.served import Served


@dataclass(frozen=True, slots=True)
class Ground:
    """What all models of a process run on."""

    provider: str
    fallback_reason: str
    onnxruntime: str


_STATES: Mapping[State, model_pb2.ModelState.ValueType] = MappingProxyType(
    {
        State.LOADING: model_pb2.MODEL_STATE_LOADING,
        State.READY: model_pb2.MODEL_STATE_READY,
        State.UNLOADING: model_pb2.MODEL_STATE_UNLOADING,
        State.UNLOADED: model_pb2.MODEL_STATE_UNLOADED,
        State.FAILED: model_pb2.MODEL_STATE_FAILED,
    }
)


def status_message(status: Status, aliases: Sequence[str]) -> model_pb2.ModelStatus:
    """Tell what is known of a version, which these aliases name."""
    told = model_pb2.ModelStatus(
        model=status.name,
        version=status.version,
        state=_STATES[status.state],
        loading=status.loading,
        problem=status.problem,
        digest=status.digest,
        fingerprint=status.fingerprint,
        bytes=status.size,
        aliases=aliases,
    )
    told.changed.FromMicroseconds(round(status.changed * 1e6))
    return told


def model_message(
    served: Served, ground: Ground, config: Config, aliases: Sequence[str], *, tokens: bool
) -> model_pb2.Model:
    """Describe a model that these aliases name.

    With what is long of it (tokens, a schedule's signal, a chain's start), or without.
    """
    bundle = served.loaded.bundle
    return model_pb2.Model(
        name=bundle.name,
        version=bundle.version,
        kind=bundle.kind,
        description=bundle.description,
        licence=bundle.licence,
        capabilities=_capabilities(served),
        latent=bundle.latent if bundle.HasField("latent") else None,
        image=bundle.image if bundle.HasField("image") else None,
        sequence=_sequence(bundle.sequence, tokens) if bundle.HasField("sequence") else None,
        classes=bundle.classes,
        limits=_limits(served, config),
        runtime=_runtime(served, ground, config),
        digest=served.loaded.digest,
        training=bundle.training,
        metrics=bundle.metrics,
        attributes=bundle.attributes,
        code=bundle.code if bundle.HasField("code") else None,
        diffusion=_diffusion(bundle.diffusion, tokens) if bundle.HasField("diffusion") else None,
        gibbs=_gibbs(bundle.gibbs, tokens) if bundle.HasField("gibbs") else None,
        aliases=aliases,
    )


def _capabilities(served: Served) -> Iterator[model_pb2.Capability.ValueType]:
    if served.text:
        yield model_pb2.CAPABILITY_GENERATE_TEXT
    if served.decode or served.denoise or served.gibbs:
        yield model_pb2.CAPABILITY_GENERATE_IMAGES
    if served.decode or served.denoise:
        yield model_pb2.CAPABILITY_INTERPOLATE_IMAGES
    if served.encode:
        yield model_pb2.CAPABILITY_ENCODE_IMAGES
    if served.decode and served.encode:
        yield model_pb2.CAPABILITY_EDIT_IMAGES
    if judges(served):
        yield model_pb2.CAPABILITY_SCORE_IMAGES
    if served.loaded.codec:
        yield model_pb2.CAPABILITY_COMPRESS_IMAGES
    if served.transform:
        yield model_pb2.CAPABILITY_TRANSFORM_IMAGES
    if served.text_critic:
        yield model_pb2.CAPABILITY_CLASSIFY_TEXT
    if served.tokenizer:
        yield model_pb2.CAPABILITY_TOKENIZE_TEXT


def _sequence(spec: SequenceSpec, tokens: bool) -> SequenceSpec:
    told = SequenceSpec()
    told.CopyFrom(spec)
    if not tokens:
        told.vocabulary.ClearField("tokens")
    return told


def _diffusion(spec: DiffusionSpec, whole: bool) -> DiffusionSpec:
    told = DiffusionSpec()
    told.CopyFrom(spec)
    if not whole:
        told.ClearField("signal")
    return told


def _gibbs(spec: GibbsSpec, whole: bool) -> GibbsSpec:
    told = GibbsSpec()
    told.CopyFrom(spec)
    if not whole:
        told.ClearField("start")
    return told


def _limits(served: Served, config: Config) -> model_pb2.ModelLimits:
    limits = model_pb2.ModelLimits(request_bytes=config.message_bytes, response_bytes=config.message_bytes)
    if served.text:
        candidates = text_pb2.TextGeneration.DESCRIPTOR.fields_by_name["candidate_count"]
        limits.prompt_tokens = longest_prompt(served, config)
        limits.generated_tokens = config.max_tokens
        limits.candidates = int(candidates.GetOptions().Extensions[bounds].max)
    if served.text_critic:
        limits.prompt_tokens = served.loaded.bundle.sequence.longest_prompt
    if served.decode or served.denoise or served.gibbs or served.transform:
        png = writer(image_pb2.IMAGE_FORMAT_PNG, served.loaded.bundle.image)
        limits.images_per_reply = images_per_reply(png, served, latents=False, config=config)
    if served.decode or served.denoise or served.gibbs:
        limits.images_per_stream = config.max_images_per_stream
    return limits


def _runtime(served: Served, ground: Ground, config: Config) -> model_pb2.ModelRuntime:
    return model_pb2.ModelRuntime(
        provider=ground.provider,
        provider_fallback_reason=ground.fallback_reason,
        onnxruntime_version=ground.onnxruntime,
        batch_invariant=served.loaded.batch_invariant,
        fingerprint=served.loaded.fingerprint,
        max_batch_rows=config.max_batch,
        step_form=served.loaded.form,
        unfused_reason=served.loaded.unfused_reason,
    )
