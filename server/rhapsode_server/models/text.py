"""What is asked of a sequence model, and what it tells: plain values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from rhapsode_server.models.sampling import Sampling


class EndReason(Enum):
    """Why a row of tokens ended."""

    STOP_SEQUENCE = "stop_sequence"
    MAX_TOKENS = "max_tokens"
    END_TOKEN = "end_token"  # noqa: S105 - a reason, not a password
    SCORED = "scored"


@dataclass(frozen=True, slots=True)
class TextSpec:
    """One request for text; each of its candidates is a row."""

    prompt: tuple[int, ...]
    """Token ids to force first; never empty (an empty prompt is the vocabulary's start token)."""
    received: tuple[int, ...] = ()
    """Generated tokens that the client already has: forced after the prompt, not told again."""
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int = 1
    """Most generated tokens, those received included; 0 asks for the prompt's own log-probabilities instead."""
    stop_sequences: tuple[str, ...] = ()
    seed: int = 0
    logprobs: int | None = None
    """How many of the likeliest tokens to tell beside each token; None: no log-probabilities at all."""
    unscored: int = 1
    """Tokens of the prompt that are not told where it is scored: the first, or the whole prefix of a class."""

    @property
    def scores(self) -> bool:
        """Whether the prompt is told with its log-probabilities, and nothing is drawn."""
        return not self.max_tokens


@dataclass(frozen=True, slots=True)
class Logprob:
    """A token's log-probability under the model itself, before bias, penalties, temperature and filters."""

    value: float
    top: Sequence[tuple[int, float]] = ()
    """The likeliest tokens and their log-probabilities, likeliest first."""


class Tokens(NamedTuple):
    """Tokens one after another that are certain to be sent, and their text."""

    ids: Sequence[int]
    text: str
    logprobs: Sequence[Logprob] = ()
    """One for each token, where they are asked for."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a row; its last event."""

    reason: EndReason
    generated: int
    """Tokens told, those received before not counted."""
    stop_sequence: str = ""
    tail: str = ""
    """What stands before the stop sequence inside the token in which it begins."""


TextEvent = Tokens | Ended
