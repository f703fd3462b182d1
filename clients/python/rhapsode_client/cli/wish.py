"""What a person wants of a model of tunes."""

from dataclasses import dataclass

from rhapsode_client.music.line import Tune
from rhapsode_client.types import Model


@dataclass(frozen=True, slots=True)
class Wish:
    """Tunes in a metre and a key, or in those that are drawn, perhaps after an example.

    `tempo` is in beats a minute, `timeout` in seconds for each request.
    """

    model: Model
    metre: str | None
    key: str | None
    example: Tune | None
    temperature: float | None
    tempo: float
    seed: int | None
    timeout: float | None
