"""The best of many pictures: all are drawn and judged, and those that a critic finds most real are made to be sent.

A picture is made twice: once to be judged, and the chosen ones once more, by the same rows of the same seed. So what is
kept of the many is a number for each, and the chosen ones are sent as any others are.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rhapsode.v1 import image_pb2
from rhapsode.v1.bundle_pb2 import ImageSpec
from rhapsode_server.errors import InvalidField, Unsupported
from rhapsode_server.models.critic import CriticRow
from rhapsode_server.models.decoder import Choice, Pixels
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.convert_images import ImageJob
from rhapsode_server.rpc.darkroom import Darkroom
from rhapsode_server.rpc.image_reply import News
from rhapsode_server.rpc.served import CriticDriver, Served


def umpire(asked: image_pb2.KeepBest, served: Served, catalog: Catalog) -> Served:
    """The model whose critic judges. Raises ModelNotFound, Unsupported or InvalidField where it cannot."""
    chosen = catalog.find(asked.critic) if asked.critic else served
    critic(chosen)
    wanted, taken = served.loaded.bundle.image, chosen.loaded.bundle.image
    if (taken.height, taken.width, taken.channels) != (wanted.height, wanted.width, wanted.channels):
        rule = (
            f"must take the model's pictures, {wanted.height} × {wanted.width} × {wanted.channels} values, "
            f"not {taken.height} × {taken.width} × {taken.channels}"
        )
        raise InvalidField("generation.keep_best.critic", rule)
    return chosen


def critic(served: Served) -> CriticDriver:
    """The driver that judges pictures. Raises Unsupported where the model has no critic."""
    if served.critic is None:
        raise Unsupported(f"{served.loaded.bundle.name} has no critic")
    return served.critic


def _shown(values: Pixels, own: ImageSpec, taken: ImageSpec) -> Pixels:
    """A picture in the value range of the critic, each number by itself."""
    if (own.low, own.high) == (taken.low, taken.high):
        return values
    scale = np.float32((taken.high - taken.low) / (own.high - own.low))
    return (values - np.float32(own.low)) * scale + np.float32(taken.low)


async def winners(
    asked: image_pb2.ImageGeneration, drawn: ImageJob, served: Served, judge: Served, darkroom: Darkroom, until: float
) -> ImageJob:
    """The job of the pictures that are wanted, of a job that draws all of them: best first, `index` is the rank."""
    driver, own, taken = critic(judge), served.loaded.bundle.image, judge.loaded.bundle.image
    realness: list[float] = []

    async def score(news: News) -> None:
        rows = [
            CriticRow(_shown(picture.values, own, taken))
            for delivery in news
            if delivery.done  # nobody judges previews
            for picture in delivery.events
        ]
        realness.extend(judgement.realness for judgement in await darkroom.events(driver, rows, until))

    await darkroom.make(drawn, until, score)
    first = asked.first_index
    best = ranking(realness)[first : first + (asked.count if asked.HasField("count") else 1)]
    rows = [
        replace(drawn.rows[row], index=first + place, choice=Choice(row, realness[row]))
        for place, row in enumerate(best)
    ]
    return replace(drawn, rows=rows, chosen_by="" if judge is served else judge.loaded.fingerprint)


def ranking(realness: Sequence[float]) -> Sequence[int]:
    """Rows from the most to the least real; equals in their order."""
    return sorted(range(len(realness)), key=lambda row: (-realness[row], row))
