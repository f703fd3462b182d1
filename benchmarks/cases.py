"""What is measured, and what a measurement is."""

from dataclasses import dataclass
from statistics import median
from typing import Literal

Kind = Literal["text", "images", "walk"]
Form = Literal["float32", "png"]

Way = Literal[
    "served",
    "k4",
    "k1",
    "plain",
    "bare",
    "fused",
    "decode",
    "denoise",
    "empty",
    "pytriton",
    "mlserver",
    "pytriton16",
    "mlserver16",
]
"""Who did it.

`served` is rhapsode-server as it comes, `k4` and `k1` with --run-steps 4 and 1. In process: `plain` is one run a token
and the numpy sampler, `bare` the same as short as it can be, `fused` the fused loop, `decode` one run for up to 64
pictures, `denoise` a run for each step of up to 64. `empty` is a gRPC server whose handler does nothing. The others are
rivals; those with 16 send 16 tokens a message.
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A load: `requests` at once, each for `items` tokens or pictures, the whole `repeats` times one after another."""

    name: str
    kind: Kind
    model: str
    requests: int
    items: int
    repeats: int = 1
    prompt: int = 1
    """Tokens of the prompt; 1 is the vocabulary's start token."""
    form: Form = "float32"
    """How pictures come: raw, or as PNG files."""
    load: float = 0.0
    """Share of the capacity at which the requests arrive, at random times (Poisson); 0: all at once."""

    @property
    def work(self) -> int:
        """Tokens that a request steps over, those of its prompt counted, or pictures that it asks for."""
        return self.items + self.prompt - 1

    @property
    def total(self) -> int:
        """The work of one measurement."""
        return self.requests * self.work * self.repeats

    @property
    def unit(self) -> str:
        """What one item is."""
        return "token" if self.kind == "text" else "image"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of a case: seconds of wall time, CPU seconds of the process that computes and of the client.

    `items` are tokens stepped over, those of prompts counted, or pictures. `firsts` are the seconds from sending (from
    the planned arrival, where requests arrive) to the first token or picture of each request, `ends` those to its last
    one; both are empty where there are no messages.
    """

    case: str
    way: Way
    items: int
    wall_seconds: float
    cpu_seconds: float
    client_cpu_seconds: float = 0.0
    firsts: tuple[float, ...] = ()
    ends: tuple[float, ...] = ()

    @property
    def cpu_per_item(self) -> float:
        """Seconds of CPU time that one token or picture took where it was computed."""
        return self.cpu_seconds / self.items

    @property
    def first_seconds(self) -> float:
        """The median over the requests of the time to the first token or picture; 0 where there are no messages."""
        return median(self.firsts) if self.firsts else 0.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that was read off in a round; the name says its unit."""

    name: str
    value: float


GRU = "shakespeare-rnn"
NGRAM = "shakespeare-ngram"
DIGITS = "digits-gan"
DIFFUSION = "digits-diffusion"
FOREIGN = "foreign-2048"

TEXT_64 = Case("text, 64 streams", "text", GRU, requests=64, items=256)
NGRAM_64 = Case("n-grams, 64 streams", "text", NGRAM, requests=64, items=256)
TEXT_1 = Case("text, 1 stream", "text", GRU, requests=1, items=256, repeats=4)
IMAGES_64 = Case("images, 64 clients x 1", "images", DIGITS, requests=64, items=1, repeats=10)
DIFFUSION_16 = Case("diffusion, 16 clients x 1", "images", DIFFUSION, requests=16, items=1, repeats=4)
IMAGES_1 = Case("images, 1 client x 64", "images", DIGITS, requests=1, items=64, repeats=10)
