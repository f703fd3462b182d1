"""Rows of both kinds for the graphs of small bundles, and what became of them as bytes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.models.base import Outcome, Session
from rhapsode_server.models.critic import CriticRow
from rhapsode_server.models.decoder import ImageRow
from rhapsode_server.models.denoiser import DenoiseRow, Way
from rhapsode_server.models.encoder import EncodeRow
from rhapsode_server.models.gibbs import GibbsRow
from rhapsode_server.models.graph_model import Arrays
from rhapsode_server.models.latents import Draw
from rhapsode_server.models.schedules import course
from rhapsode_server.models.tensors import TensorRow
from rhapsode_server.models.text_critic import TextCriticRow
from rhapsode_server.models.transform import TransformRow
from support import graphs

SIGNAL = np.linspace(0.99, 0.01, 40)


def picture(seed: int, channels: int = 3) -> NDArray[np.float32]:
    """Noise of the size of a tiny picture."""
    return np.random.Generator(np.random.PCG64(seed)).uniform(-1, 1, (channels, graphs.SIDE, graphs.SIDE)).astype("f4")


def denoise_row(number: int, guidance: float, steps: int = 3) -> DenoiseRow:
    """A row of a diffusion model with classes, with fresh noise on the way."""
    way = Way(course(SIGNAL, steps, 0.5), guidance, preview_every=1)
    return DenoiseRow(number, Draw(7, number), number % 3, way=way)


def rows_of(model: str, numbers: Sequence[int]) -> list[Any]:
    """Rows of the part that a tiny model has, each another one."""
    make: Mapping[str, Any] = {
        "tiny-shapes": lambda n: ImageRow(n, Draw(7, n)),
        "tiny-faces": lambda n: EncodeRow(picture(n)),
        "tiny-judge": lambda n: CriticRow(picture(n)),
        "tiny-mirror": lambda n: TransformRow(picture(n)),
        "tiny-noise": lambda n: denoise_row(n, (0.0, 1.0, 2.5)[n % 3]),
        "tiny-chain": lambda n: GibbsRow(n, Draw(7, n), steps=3, preview_every=1),
        "tiny-taste": lambda n: TextCriticRow(tuple(range(1, 2 + n % 4))),
    }
    return [make[model](number) for number in numbers]


def tensor_rows(feeds: Arrays) -> list[TensorRow]:
    """What a graph is fed, row by row."""
    count = len(next(iter(feeds.values())))
    return [TensorRow({name: values[place, ...] for name, values in feeds.items()}) for place in range(count)]


def said(outcome: Outcome[Any]) -> list[bytes]:
    """All that an outcome tells, as bytes."""
    assert outcome.error is None
    return list(_parts(list(outcome.events)))


def _parts(thing: Any) -> Iterator[bytes]:
    if is_dataclass(thing):
        for field in fields(thing):
            yield from _parts(getattr(thing, field.name))
    elif isinstance(thing, Mapping):
        for name in sorted(thing):
            yield from _parts(thing[name])
    elif isinstance(thing, list):
        for each in thing:
            yield from _parts(each)
    else:
        yield np.asarray(thing).tobytes() if thing is not None else b""


class Watched:
    """A session that keeps how many rows each run had, and what they were."""

    def __init__(self, inner: Session) -> None:
        self.inner = inner
        self.runs: list[int] = []

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Run the inner one."""
        self.runs.append(len(next(iter(feeds.values()))))
        return self.inner.run(feeds)
