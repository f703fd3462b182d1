"""The values of text generation, of scoring and of tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, TypedDict

Prompt: TypeAlias = str | Sequence[int]


class TextOptions(TypedDict, total=False):
    """The keyword arguments of `generate_text` and `stream_text`; what is left out takes the server's default."""

    temperature: float
    """Divides the logits; 0 is greedy. Default 1."""
    top_k: int
    """Keeps the k likeliest tokens; 0 keeps all. Default 0."""
    top_p: float
    """Keeps the fewest likeliest tokens whose probabilities reach p in sum. Default 1, which keeps all."""
    min_p: float
    """Keeps tokens at least this times as likely as the likeliest. Default 0."""
    repetition_penalty: float
    """Divides positive and multiplies negative logits of tokens that have occurred (Keskar et al. 2019). Default 1."""
    presence_penalty: float
    """Subtracted from the logits of tokens that have occurred. Default 0."""
    frequency_penalty: float
    """Subtracted from a token's logit once for each time that it has occurred. Default 0."""
    logit_bias: Mapping[int, float]
    """Added to the logits of single tokens, by token id."""
    max_tokens: int
    """Most tokens to generate, `received_token_ids` included. Default: the model's limit."""
    stop_sequences: Sequence[str]
    """Texts before which a candidate ends."""
    seed: int
    """Seed of the noise, 64 bits unsigned. Default: the server draws one and says it in `started`."""
    candidate_count: int
    """Independent candidates. Default 1."""
    logprobs: int
    """Asks for log-probabilities, with this many of the likeliest tokens beside each. Default: none."""
    echo: bool
    """Whether the prompt comes back too. Default False."""
    class_name: str
    """A class of the model's, one of `Model.sequence.classes`, whose prefix stands before the prompt. Default: none."""
    keep_best: "KeepBestText"
    """Generates more candidates than are wanted, and gives the best. Default: all that are generated are given."""
    received_token_ids: Sequence[int]
    """Tokens that an earlier, broken stream of the same request delivered; needs `seed` and one candidate."""


@dataclass(frozen=True, slots=True)
class KeepBestText:
    """Of `drawn` candidates those that are best: of the highest mean log-probability of a token under the model itself,
    or likeliest of the class `class_name` of the critic of texts `critic`.
    """

    drawn: int
    critic: str = ""
    class_name: str = ""


class FinishReason(StrEnum):
    """Why a candidate ended."""

    UNKNOWN = "unknown"
    STOP_SEQUENCE = "stop_sequence"
    MAX_TOKENS = "max_tokens"
    END_TOKEN = "end_token"  # noqa: S105 - the name of a reason, no password


@dataclass(frozen=True, slots=True)
class TextStarted:
    """What the server made of a request."""

    seed: int
    model: str
    version: int
    fingerprint: str
    prompt_token_count: int


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token and the natural logarithm of its probability under the model."""

    token_id: int
    logprob: float


@dataclass(frozen=True, slots=True)
class PositionLogprobs:
    """The log-probability of a token, and the likeliest tokens in its place, likeliest first."""

    logprob: float
    top: tuple[TokenLogprob, ...]


@dataclass(frozen=True, slots=True)
class TextChunk:
    """Consecutive tokens of one candidate; `logprobs` has one element a token where they were asked for."""

    candidate: int
    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[PositionLogprobs, ...]
    first_token_index: int
    echoed: bool


@dataclass(frozen=True, slots=True)
class TextUsage:
    """Tokens in the prompt, and tokens generated in this request (over all attempts of a resumed stream)."""

    prompt_token_count: int
    generated_token_count: int


@dataclass(frozen=True, slots=True)
class TextTimings:
    """Seconds from the request's arrival at the server (the last attempt's, of a resumed stream)."""

    queue_seconds: float
    first_token_seconds: float
    total_seconds: float


@dataclass(frozen=True, slots=True)
class TextChoice:
    """How a candidate was chosen: the row that drew it, and its mean log-probability of a token in nats or the critic's
    probability of the class.
    """

    row: int
    score: float


@dataclass(frozen=True, slots=True)
class TextFinished:
    """The end of one candidate; `stop_sequence` is empty unless one ended it, `choice` None unless some were chosen."""

    candidate: int
    reason: FinishReason
    stop_sequence: str
    usage: TextUsage
    timings: TextTimings
    choice: TextChoice | None = None


@dataclass(frozen=True, slots=True)
class TextCandidate:
    """One whole candidate. Where an echo was asked for, text and tokens begin with the prompt's; `logprobs` has one
    element for each generated token where they were asked for.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[PositionLogprobs, ...]
    finished: TextFinished


@dataclass(frozen=True, slots=True)
class TextResult:
    """All candidates of a request, in order."""

    started: TextStarted
    candidates: tuple[TextCandidate, ...]

    @property
    def text(self) -> str:
        """The first candidate's text."""
        return self.candidates[0].text


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """A text and its tokens. `pieces` are what each token stands for, in UTF-8: maybe a part of a character."""

    token_ids: tuple[int, ...]
    pieces: tuple[bytes, ...]
    text: str


@dataclass(frozen=True, slots=True)
class TokenizeResult:
    """All texts of a request as tokens, in order."""

    model: str
    version: int
    texts: tuple[TokenizedText, ...]


@dataclass(frozen=True, slots=True)
class TextScore:
    """How likely one text is under the model.

    `logprobs` has one element for each scored token: all of `token_ids`, or all but the first where the model names no
    start token and no class was given. `total_logprob` is their sum in nats, `perplexity` that of a token.
    Characters are Unicode code points; an unknown token counts as one.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[PositionLogprobs, ...]
    total_logprob: float
    scored_token_count: int
    scored_character_count: int
    bits_per_character: float
    perplexity: float


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """The scores of all texts of a request, in order."""

    model: str
    version: int
    fingerprint: str
    scores: tuple[TextScore, ...]


@dataclass(frozen=True, slots=True)
class TextClassification:
    """Of which class one text is: the probability of each, in the order of `ClassificationsResult.classes`."""

    class_probabilities: tuple[float, ...]
    token_count: int


@dataclass(frozen=True, slots=True)
class ClassificationsResult:
    """The judgements of all texts of a request, in order."""

    model: str
    version: int
    fingerprint: str
    classes: tuple[str, ...]
    classifications: tuple[TextClassification, ...]
