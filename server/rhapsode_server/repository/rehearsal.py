"""A short performance of a model as it will be served: what it gives goes into the fingerprint."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rhapsode.v1.bundle_pb2 import ImageSpec
from rhapsode_server.models.base import Outcome
from rhapsode_server.models.codec import Codec
from rhapsode_server.models.critic import Critic, CriticRow
from rhapsode_server.models.decoder import Decoder, ImageRow, Picture
from rhapsode_server.models.denoiser import Denoiser, DenoiseRow, Way
from rhapsode_server.models.gibbs import GibbsRow, GibbsSampler
from rhapsode_server.models.latents import Draw
from rhapsode_server.models.noise import uniforms_of_rows
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.sampling import Sampling
from rhapsode_server.models.schedules import course
from rhapsode_server.models.stepper import Stepper
from rhapsode_server.models.text import TextSpec, Tokens
from rhapsode_server.models.text_critic import TextCritic, TextCriticRow

_SEED = 0x5EED
_TOKENS = 32
_PICTURES = 4
_TEXTS = 4
_GUIDANCE, _ETAS = 2.0, (0.0, 0.5)
_STEPS = 8
_NEARLY = 1e-3  # in nats: what another order of sums may move a log-probability by
# Every part of the sampler is heard at least once.
_SETTINGS = (
    Sampling(temperature=0.0),
    Sampling(),
    Sampling(temperature=0.7, top_k=5),
    Sampling(temperature=1.3, top_p=0.9),
    Sampling(min_p=0.05, repetition_penalty=1.2, presence_penalty=0.3, frequency_penalty=0.1),
)


@dataclass(frozen=True, slots=True)
class RecitedRow:
    """What one row gave: token ids, their log-probabilities, and the name of the error that ended it, if one did."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    error: str


@dataclass(frozen=True, slots=True)
class Recital:
    """What all rows gave."""

    rows: Sequence[RecitedRow]

    def agrees(self, other: "Recital") -> bool:
        """Whether the tokens are the same, and the log-probabilities nearly."""
        return all(
            (mine.ids, mine.error) == (theirs.ids, theirs.error)
            and np.allclose(mine.logprobs, theirs.logprobs, rtol=0.0, atol=_NEARLY)
            for mine, theirs in zip(self.rows, other.rows, strict=True)
        )

    def parts(self) -> Iterator[bytes]:
        """Everything, to be hashed."""
        for row in self.rows:
            yield np.array(row.ids, "<i8").tobytes() + np.array(row.logprobs, "<f8").tobytes() + row.error.encode()


def recite(stepper: Stepper, prompts: Sequence[int], only: int | None = None) -> Recital:
    """Some 32 tokens under each of five settings, as many rows in a batch as may be, or one of them alone.

    Row i begins with token `prompts[i]`. A row whose logits are not finite ends with its error's name.
    """
    rows = [
        TextRow(TextSpec((prompt,), sampling=sampling, max_tokens=_TOKENS, seed=_SEED, logprobs=1), number)
        for number, (prompt, sampling) in enumerate(zip(prompts, _SETTINGS, strict=False))
    ]
    cast = rows if only is None else [rows[only]]
    given: dict[TextRow, list[Tokens]] = {row: [] for row in cast}
    errors: dict[TextRow, str] = {}
    waiting = deque(cast)
    while waiting:
        batch = [waiting.popleft() for _ in range(min(stepper.max_batch, len(waiting)))]
        for row, outcome in zip(batch, stepper.advance(batch), strict=True):
            given[row] += [event for event in outcome.events if isinstance(event, Tokens)]
            if outcome.error is not None:
                errors[row] = outcome.error.reason
            if not outcome.done:
                waiting.append(row)
    return Recital([_recited(given[row], errors.get(row, "")) for row in cast])


def _recited(events: Sequence[Tokens], error: str) -> RecitedRow:
    ids = tuple(identity for event in events for identity in event.ids)
    return RecitedRow(ids, tuple(logprob.value for event in events for logprob in event.logprobs), error)


def paint(decoder: Decoder) -> Iterator[bytes]:
    """Four pictures by seed: latents and pixels as bytes, or the error's name."""
    yield from _told(decoder.advance([ImageRow(row, Draw(_SEED, row)) for row in range(_PICTURES)]))


def unveil(denoiser: Denoiser) -> Iterator[bytes]:
    """A few guided steps of two pictures, one of them with fresh noise: every preview as bytes, or the error's name."""
    steps = min(_PICTURES, len(denoiser.signal))
    ways = [Way(course(denoiser.signal, steps, eta), _GUIDANCE, preview_every=1) for eta in _ETAS]
    rows = [DenoiseRow(number, Draw(_SEED, number), way=way) for number, way in enumerate(ways)]
    while rows:
        outcomes = denoiser.advance(rows)
        yield from _told(outcomes)
        rows = [row for row, outcome in zip(rows, outcomes, strict=True) if not outcome.done]


def wander(gibbs: GibbsSampler) -> Iterator[bytes]:
    """Every step of a short chain: its pictures as bytes, or the error's name."""
    row = GibbsRow(0, Draw(_SEED, 0), steps=_STEPS, preview_every=1)
    for _ in range(_STEPS):
        (outcome,) = gibbs.advance([row])
        yield from _told([outcome])
        if outcome.done:
            return


def _told(outcomes: Sequence[Outcome[Picture]]) -> Iterator[bytes]:
    for outcome in outcomes:
        for picture in outcome.events:
            yield picture.latent.astype("<f4").tobytes() + picture.values.astype("<f4").tobytes()
        if outcome.error is not None:
            yield outcome.error.reason.encode()


def judge(critic: Critic, image: ImageSpec) -> Iterator[bytes]:
    """Four pictures of nothing but noise: realness and class probabilities as bytes, or the error's name."""
    shape = (_PICTURES, image.channels, image.height, image.width)
    noise = uniforms_of_rows([_SEED] * _PICTURES, range(_PICTURES), image.channels * image.height * image.width)
    pictures = (image.low + (image.high - image.low) * noise).astype(np.float32).reshape(shape)
    for outcome in critic.advance([CriticRow(picture) for picture in pictures]):
        for judgement in outcome.events:
            yield (
                np.float32(judgement.realness).astype("<f4").tobytes() + judgement.probabilities.astype("<f4").tobytes()
            )
        if outcome.error is not None:
            yield outcome.error.reason.encode()


def read(critic: TextCritic, vocabulary: int) -> Iterator[bytes]:
    """Texts of nothing but chance, from one token to as many as the critic takes: class probabilities as bytes."""
    lengths = sorted({max(1, critic.longest * part // _TEXTS) for part in range(1, _TEXTS + 1)})
    noise = uniforms_of_rows([_SEED] * len(lengths), range(len(lengths)), critic.longest)
    tokens = (noise * vocabulary).astype(np.int64).clip(0, vocabulary - 1).tolist()
    rows = [TextCriticRow(tuple(row[:length])) for row, length in zip(tokens, lengths, strict=True)]
    for first in range(0, len(rows), critic.max_batch):
        for outcome in critic.advance(rows[first : first + critic.max_batch]):
            for probabilities in outcome.events:
                yield probabilities.astype("<f4").tobytes()
            if outcome.error is not None:
                yield outcome.error.reason.encode()


def press(codec: Codec) -> bytes:
    """The payload of a latent whose numbers are spread evenly over all values."""
    return codec.compress(codec.ramp())
