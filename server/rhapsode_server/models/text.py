"""What is asked of a sequence model, and what it tells: plain values."""

from dataclasses import dataclass, field
from enum import Enum

from rhapsode_server.models.sampling import Sampling


class EndReason(Enum):
    """Why a row of tokens ended."""

    STOP_SEQUENCE = "stop_sequence"
    MAX_TOKENS = "max_tokens"
    END_TOKEN = "end_token"  # noqa: S105 - a reason, not a password


@dataclass(frozen=True, slots=True)
class TextSpec:
    """One request for text; each of its candidates is a row."""

    prompt: tuple[int, ...]
    """Token ids to force first; never empty (an empty prompt is the vocabulary's start token)."""
    received: tuple[int, ...] = ()
    """Generated tokens that the client already has: forced after the prompt, not told again."""
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int = 1
    """Most generated tokens, those received included."""
    stop_sequences: tuple[str, ...] = ()
    seed: int = 0
    logprobs: int | None = None
    """How many of the likeliest tokens to tell beside each token; None: no log-probabilities at all."""


@dataclass(frozen=True, slots=True)
class Token:
    """A generated token that is certain to be sent."""

    id: int
    text: str
    logprob: float | None = None
    """Under the model itself, before bias, penalties, temperature and filters."""
    top: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens and their log-probabilities, likeliest first."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a row; its last event."""

    reason: EndReason
    generated: int
    """Tokens told, those received before not counted."""
    stop_sequence: str = ""
    tail: str = ""
    """What stands before the stop sequence inside the token in which it begins."""


TextEvent = Token | Ended
