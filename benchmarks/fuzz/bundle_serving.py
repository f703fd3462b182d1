"""Some rows of every kind run through a loaded model, as requests would."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rhapsode_server.errors import ModelFailure
from rhapsode_server.models.base import Model, Outcome
from rhapsode_server.models.critic import CriticRow
from rhapsode_server.models.decoder import ImageRow
from rhapsode_server.models.denoiser import DenoiseRow, Way
from rhapsode_server.models.encoder import EncodeRow
from rhapsode_server.models.gibbs import GibbsRow
from rhapsode_server.models.latents import Draw
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.schedules import course
from rhapsode_server.models.text import TextSpec
from rhapsode_server.models.text_critic import TextCriticRow
from rhapsode_server.models.transform import TransformRow
from rhapsode_server.repository.loading import LoadedModel

_ROWS, _TOKENS, _STEPS = 5, 40, 3


def serve(loaded: LoadedModel) -> None:
    """Run a few rows through every part; ValueError where one gives what a client may not be given.

    That a run or a row fails is no fault where it fails as models do.
    """
    for model, rows in _work(loaded):
        try:
            _run(model, rows)
        except ModelFailure:
            continue


def _run(model: Model[Any, Any], rows: Sequence[Any]) -> None:
    waiting = deque(rows)
    for _ in range(10 * (_TOKENS + _ROWS)):
        if not waiting:
            return
        batch = [waiting.popleft() for _ in range(min(model.max_batch, len(waiting)))]
        for row, outcome in zip(batch, model.advance(batch), strict=True):
            _check(outcome)
            if not outcome.done:
                waiting.append(row)
    raise ValueError("rows that never end")


def _check(outcome: Outcome[Any]) -> None:
    if outcome.error is not None and not isinstance(outcome.error, ModelFailure):
        raise ValueError(f"a row ends with {type(outcome.error).__name__}")
    for event in outcome.events:
        fields = [event] if isinstance(event, np.ndarray) else [getattr(event, name) for name in _arrays(event)]
        if not all(np.isfinite(field).all() for field in fields):
            raise ValueError("a reply with NaN or infinity")


def _arrays(event: object) -> Sequence[str]:
    return [name for name in getattr(event, "__slots__", ()) if isinstance(getattr(event, name), np.ndarray)]


def _work(loaded: LoadedModel) -> Iterator[tuple[Model[Any, Any], Sequence[Any]]]:
    numbers, draws = range(_ROWS), [Draw(7, row) for row in range(_ROWS)]
    if loaded.stepper is not None:
        size = len(loaded.bundle.sequence.vocabulary.tokens)
        specs = [TextSpec((row % size,), max_tokens=_TOKENS, seed=row) for row in numbers]
        yield loaded.stepper, [TextRow(spec, row) for row, spec in enumerate(specs)]
    if loaded.decoder is not None:
        yield loaded.decoder, [ImageRow(row, draw) for row, draw in enumerate(draws)]
    if loaded.gibbs is not None:
        yield loaded.gibbs, [GibbsRow(row, draw, steps=_STEPS) for row, draw in enumerate(draws)]
    if loaded.denoiser is not None:
        way = Way(course(loaded.denoiser.signal, min(_STEPS, len(loaded.denoiser.signal)), 0.0), 1.0)
        yield loaded.denoiser, [DenoiseRow(row, draw, way=way) for row, draw in enumerate(draws)]
    yield from _of_pictures(loaded)
    if loaded.text_critic is not None:
        lengths = [1 + row % loaded.text_critic.longest for row in numbers]
        yield loaded.text_critic, [TextCriticRow((0,) * length) for length in lengths]


def _of_pictures(loaded: LoadedModel) -> Iterator[tuple[Model[Any, Any], Sequence[Any]]]:
    image = loaded.bundle.image
    shades = np.linspace(image.low, image.high, _ROWS, dtype=np.float32)
    pictures = [np.full((image.channels, image.height, image.width), shade, np.float32) for shade in shades]
    if loaded.critic is not None:
        yield loaded.critic, [CriticRow(picture) for picture in pictures]
    if loaded.encoder is not None:
        yield loaded.encoder, [EncodeRow(picture) for picture in pictures]
    if loaded.transformer is not None:
        yield loaded.transformer, [TransformRow(picture) for picture in pictures]
