"""A short performance of a model as it will be served: what it gives goes into the fingerprint."""

from collections.abc import Iterator, Sequence

import numpy as np

from rhapsode_server.models.decoder import Decoder, ImageRow
from rhapsode_server.models.latents import Draw
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.sampling import Sampling
from rhapsode_server.models.stepper import Stepper
from rhapsode_server.models.text import TextSpec, Token

_SEED = 0x5EED
_TOKENS = 32
_PICTURES = 4
# Every part of the sampler is heard at least once.
_SETTINGS = (
    Sampling(temperature=0.0),
    Sampling(),
    Sampling(temperature=0.7, top_k=5),
    Sampling(temperature=1.3, top_p=0.9),
    Sampling(min_p=0.05, repetition_penalty=1.2, presence_penalty=0.3, frequency_penalty=0.1),
)


def recite(stepper: Stepper, prompts: Sequence[int]) -> Iterator[bytes]:
    """32 tokens under each of five settings, all rows in one batch: ids, log-probabilities and errors, as bytes.

    Row i begins with token `prompts[i]`. A row whose logits are not finite ends with its error's name.
    """
    rows = [
        TextRow(TextSpec((prompt,), sampling=sampling, max_tokens=_TOKENS, seed=_SEED, logprobs=1), number)
        for number, (prompt, sampling) in enumerate(zip(prompts, _SETTINGS, strict=False))
    ]
    while rows:
        outcomes = stepper.advance(rows)
        for outcome in outcomes:
            for event in outcome.events:
                if isinstance(event, Token):
                    yield np.array([event.id], "<i8").tobytes() + np.array([event.logprob], "<f8").tobytes()
            if outcome.error is not None:
                yield outcome.error.reason.encode()
        rows = [row for row, outcome in zip(rows, outcomes, strict=True) if not outcome.done]


def paint(decoder: Decoder) -> Iterator[bytes]:
    """Four pictures by seed: latents and pixels as bytes, or the error's name."""
    for outcome in decoder.advance([ImageRow(row, Draw(_SEED, row)) for row in range(_PICTURES)]):
        for picture in outcome.events:
            yield picture.latent.astype("<f4").tobytes() + picture.values.astype("<f4").tobytes()
        if outcome.error is not None:
            yield outcome.error.reason.encode()
