"""The values that describe a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ModelKind(StrEnum):
    """What a model does."""

    UNKNOWN = "unknown"
    SEQUENCE = "sequence"
    AUTOENCODER = "autoencoder"
    GENERATOR = "generator"
    CRITIC = "critic"
    DIFFUSION = "diffusion"
    BOLTZMANN = "boltzmann"
    TRANSFORM = "transform"


class Capability(StrEnum):
    """What a model can be asked for."""

    UNKNOWN = "unknown"
    GENERATE_TEXT = "generate_text"
    GENERATE_IMAGES = "generate_images"
    INTERPOLATE_IMAGES = "interpolate_images"
    ENCODE_IMAGES = "encode_images"
    EDIT_IMAGES = "edit_images"
    SCORE_IMAGES = "score_images"
    COMPRESS_IMAGES = "compress_images"
    TRANSFORM_IMAGES = "transform_images"
    CLASSIFY_TEXT = "classify_text"
    TOKENIZE_TEXT = "tokenize_text"


class LatentPrior(StrEnum):
    """The distribution that latents were drawn from in training."""

    UNKNOWN = "unknown"
    NORMAL = "normal"
    UNIFORM = "uniform"


class StopReason(StrEnum):
    """The condition that ended a training run."""

    UNKNOWN = "unknown"
    STEPS = "steps"
    ERROR = "error"
    CHANGE = "change"
    EQUILIBRIUM = "equilibrium"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class LatentSpec:
    """A latent space: numbers in a latent, what to draw them from, mean Euclidean length (0: not measured)."""

    size: int
    prior: LatentPrior
    mean_radius: float


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The pictures of a model in pixels, and the values of black (`low`) and white (`high`)."""

    height: int
    width: int
    channels: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CodeSpec:
    """How latents become codes: rounded to multiples of `step`, at most `reach` of them on either side of zero."""

    step: float
    reach: int


@dataclass(frozen=True, slots=True)
class GibbsSpec:
    """How a Boltzmann machine's chain is run: numbers of a state, uniforms of a step, steps where none are said."""

    state_size: int
    noise_size: int
    default_steps: int


@dataclass(frozen=True, slots=True)
class SequenceClass:
    """A class of sequences that can be asked for by name, and the tokens that stand before one."""

    name: str
    prefix_token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SequenceSpec:
    """The prompt side of a text model; `tokens` by id, empty in a listing of all models.

    With `byte_level`, each character of a token stands for one byte (Radford et al. 2019). With `tokenizer`, the model
    brings a way of its own to cut text into tokens.
    """

    tokens: tuple[str, ...]
    start_token: int | None
    end_token: int | None
    unknown_token: int | None
    longest_prompt: int
    penalties_count_prompt: bool
    classes: tuple[SequenceClass, ...] = ()
    byte_level: bool = False
    tokenizer: bool = False


@dataclass(frozen=True, slots=True)
class DiffusionSpec:
    """How noise was added in training, and how it is taken away unless a request says otherwise.

    `signal` is the share of the signal's power left after each training step, empty in a listing of all models.
    """

    training_steps: int
    signal: tuple[float, ...]
    default_steps: int
    default_guidance: float


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """The most that one request may ask for; 0 where the limit does not concern the model."""

    prompt_tokens: int
    generated_tokens: int
    candidates: int
    images_per_reply: int
    images_per_stream: int
    request_bytes: int
    response_bytes: int


@dataclass(frozen=True, slots=True)
class ModelRuntime:
    """Where and how a model runs; equal fingerprints mean equal bytes for equal requests."""

    provider: str
    provider_fallback_reason: str
    onnxruntime_version: str
    batch_invariant: bool
    fingerprint: str
    max_batch_rows: int
    step_form: str
    """"loop", "unrolled" or "plain": how a sequence model is stepped; empty for other models."""
    unfused_reason: str
    """Why it is stepped plainly though another form was meant; empty where it is not."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """The data that a model was trained on, and the right to use it."""

    name: str
    licence: str
    sha256: str
    held_out: str


@dataclass(frozen=True, slots=True)
class Training:
    """How the weights came to be."""

    data: DataSet
    settings: Mapping[str, str]
    seed: int
    duration_seconds: float
    steps: int
    stop_reason: StopReason
    stop_detail: str
    software: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Metric:
    """A quality figure on held-out data; `baseline` is what to compare it with, where there is something."""

    name: str
    value: float
    higher_is_better: bool
    baseline: float | None
    baseline_name: str
    description: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """A named direction in latent space; `strength` is how many times it is added where a request does not say."""

    name: str
    description: str
    strength: float
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A model that the server serves; `digest` is the SHA-256 of its manifest, 64 hexadecimal digits, and `aliases` are
    the names under which this version can be asked for too, as in "faces-vae@stable".
    """

    name: str
    version: int
    kind: ModelKind
    description: str
    licence: str
    capabilities: tuple[Capability, ...]
    latent: LatentSpec | None
    image: ImageSpec | None
    sequence: SequenceSpec | None
    classes: tuple[str, ...]
    limits: ModelLimits
    runtime: ModelRuntime
    digest: str
    training: Training
    metrics: tuple[Metric, ...]
    code: CodeSpec | None = None
    attributes: tuple[Attribute, ...] = ()
    diffusion: DiffusionSpec | None = None
    gibbs: GibbsSpec | None = None
    aliases: tuple[str, ...] = ()
