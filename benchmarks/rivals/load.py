"""What a rival's client is asked to send, and what it answers: a line of JSON each way."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

READY = "ready"
"""What the client says before it reads its first load."""


@dataclass(frozen=True, slots=True)
class Load:
    """A case for a client: `requests` at once for `items` tokens or pictures each, `repeats` times in turn.

    A text's first token is a message of its own, the others come `tokens_a_message` at a time.
    """

    kind: Literal["text", "images"]
    model: str
    requests: int
    items: int
    repeats: int
    seed: int
    tokens_a_message: int
    latent_size: int

    def line(self) -> str:
        """Write it down, without the end of the line."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, line: str) -> "Load":
        """Read what `line` wrote."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of wall time and of the client's CPU time, and for each request to its first and to its last item."""

    wall_seconds: float
    cpu_seconds: float
    firsts: tuple[float, ...]
    ends: tuple[float, ...]

    def line(self) -> str:
        """Write it down, without the end of the line."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, line: str) -> "Taken":
        """Read what `line` wrote."""
        values = json.loads(line)
        return cls(values["wall_seconds"], values["cpu_seconds"], tuple(values["firsts"]), tuple(values["ends"]))
