"""What is measured, and what a measurement is."""

from dataclasses import dataclass
from typing import Literal

Way = Literal["served", "alone"]


@dataclass(frozen=True, slots=True)
class Case:
    """A load: `requests` at once, each for `items` tokens or pictures, the whole `repeats` times one after another."""

    name: str
    kind: Literal["text", "images"]
    model: str
    requests: int
    items: int
    repeats: int = 1

    @property
    def total(self) -> int:
        """Tokens or pictures of one measurement."""
        return self.requests * self.items * self.repeats

    @property
    def unit(self) -> str:
        """What one item is."""
        return "token" if self.kind == "text" else "image"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of a case: seconds of wall time, CPU seconds of the process that computes and of the client.

    `first_seconds` is the median over the requests from sending to the first message; 0 where there are no messages.
    """

    case: str
    way: Way
    items: int
    wall_seconds: float
    cpu_seconds: float
    client_cpu_seconds: float = 0.0
    first_seconds: float = 0.0


CASES = (
    Case("1 stream x 256 tokens", "text", "shakespeare-rnn", requests=1, items=256),
    Case("16 streams x 256 tokens", "text", "shakespeare-rnn", requests=16, items=256),
    Case("64 streams x 256 tokens", "text", "shakespeare-rnn", requests=64, items=256),
    Case("64 requests x 1 image", "images", "digits-gan", requests=64, items=1, repeats=10),
    Case("1 request x 64 images", "images", "digits-gan", requests=1, items=64, repeats=10),
)
