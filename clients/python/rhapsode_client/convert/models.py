"""Model descriptions: reply messages to values."""

from rhapsode.v1 import bundle_pb2, model_pb2
from rhapsode_client.convert.scalars import member
from rhapsode_client.types import (
    Attribute,
    Capability,
    CodeSpec,
    DataSet,
    DiffusionSpec,
    GibbsSpec,
    ImageSpec,
    LatentPrior,
    LatentSpec,
    Metric,
    Model,
    ModelKind,
    ModelLimits,
    ModelRuntime,
    SequenceClass,
    SequenceSpec,
    StopReason,
    Training,
)


def model(message: model_pb2.Model) -> Model:
    """A model that the server serves."""
    return Model(
        name=message.name,
        version=message.version,
        kind=member(ModelKind, bundle_pb2.ModelKind.Name, message.kind, "MODEL_KIND_"),
        description=message.description,
        licence=message.licence,
        capabilities=tuple(_capability(value) for value in message.capabilities),
        latent=_latent(message.latent) if message.HasField("latent") else None,
        image=_image(message.image) if message.HasField("image") else None,
        sequence=_sequence(message.sequence) if message.HasField("sequence") else None,
        classes=tuple(message.classes),
        limits=_limits(message.limits),
        runtime=_runtime(message.runtime),
        digest=message.digest,
        training=_training(message.training),
        metrics=tuple(_metric(metric) for metric in message.metrics),
        attributes=tuple(_attribute(attribute) for attribute in message.attributes),
        code=CodeSpec(message.code.step, message.code.reach) if message.HasField("code") else None,
        diffusion=_diffusion(message.diffusion) if message.HasField("diffusion") else None,
        gibbs=_gibbs(message.gibbs) if message.HasField("gibbs") else None,
        aliases=tuple(message.aliases),
    )


def _capability(value: model_pb2.Capability.ValueType) -> Capability:
    return member(Capability, model_pb2.Capability.Name, value, "CAPABILITY_")


def _latent(message: bundle_pb2.LatentSpec) -> LatentSpec:
    prior = member(LatentPrior, bundle_pb2.LatentPrior.Name, message.prior, "LATENT_PRIOR_")
    return LatentSpec(message.size, prior, message.mean_radius)


def _image(message: bundle_pb2.ImageSpec) -> ImageSpec:
    return ImageSpec(message.height, message.width, message.channels, message.low, message.high)


def _gibbs(message: bundle_pb2.GibbsSpec) -> GibbsSpec:
    return GibbsSpec(message.state_size, message.noise_size, message.default_steps)


def _sequence(message: bundle_pb2.SequenceSpec) -> SequenceSpec:
    vocabulary = message.vocabulary
    return SequenceSpec(
        tokens=tuple(vocabulary.tokens),
        start_token=vocabulary.start_token if vocabulary.HasField("start_token") else None,
        end_token=vocabulary.end_token if vocabulary.HasField("end_token") else None,
        unknown_token=vocabulary.unknown_token if vocabulary.HasField("unknown_token") else None,
        longest_prompt=message.longest_prompt,
        penalties_count_prompt=message.penalties_count_prompt,
        classes=tuple(SequenceClass(one.name, tuple(one.prefix_token_ids)) for one in message.classes),
        byte_level=vocabulary.byte_level,
        tokenizer=vocabulary.tokenizer,
    )


def _diffusion(message: bundle_pb2.DiffusionSpec) -> DiffusionSpec:
    guidance = message.default_guidance or 1.0
    return DiffusionSpec(message.training_steps, tuple(message.signal), message.default_steps, guidance)


def _limits(message: model_pb2.ModelLimits) -> ModelLimits:
    return ModelLimits(
        prompt_tokens=message.prompt_tokens,
        generated_tokens=message.generated_tokens,
        candidates=message.candidates,
        images_per_reply=message.images_per_reply,
        images_per_stream=message.images_per_stream,
        request_bytes=message.request_bytes,
        response_bytes=message.response_bytes,
    )


def _runtime(message: model_pb2.ModelRuntime) -> ModelRuntime:
    return ModelRuntime(
        provider=message.provider,
        provider_fallback_reason=message.provider_fallback_reason,
        onnxruntime_version=message.onnxruntime_version,
        batch_invariant=message.batch_invariant,
        fingerprint=message.fingerprint,
        max_batch_rows=message.max_batch_rows,
        step_form=message.step_form,
        unfused_reason=message.unfused_reason,
    )


def _training(message: bundle_pb2.Training) -> Training:
    data = message.data
    return Training(
        data=DataSet(data.name, data.licence, data.sha256, data.held_out),
        settings=dict(message.settings),
        seed=message.seed,
        duration_seconds=message.duration_seconds,
        steps=message.steps,
        stop_reason=member(StopReason, bundle_pb2.StopReason.Name, message.stop_reason, "STOP_REASON_"),
        stop_detail=message.stop_detail,
        software=dict(message.software),
    )


def _metric(message: bundle_pb2.Metric) -> Metric:
    return Metric(
        name=message.name,
        value=message.value,
        higher_is_better=message.higher_is_better,
        baseline=message.baseline if message.HasField("baseline") else None,
        baseline_name=message.baseline_name,
        description=message.description,
    )


def _attribute(message: bundle_pb2.Attribute) -> Attribute:
    metrics = tuple(_metric(metric) for metric in message.metrics)
    return Attribute(message.name, message.description, message.strength, metrics)
