"""What a round takes, in order: each case in the ways that are compared."""

from dataclasses import dataclass, replace

from benchmarks.cases import (
    DIFFUSION_16,
    DIGITS,
    FOREIGN,
    GRU,
    IMAGES_1,
    IMAGES_64,
    NGRAM_64,
    TEXT_1,
    TEXT_64,
    Case,
    Way,
)


@dataclass(frozen=True, slots=True)
class Task:
    """A case, who does it, and whose CPU time an item theirs is held against: a way of this case or of another one."""

    case: Case
    ways: tuple[Way, ...]
    limit: Way
    limit_case: Case | None = None


TEXT_4 = Case("text, 4 streams", "text", GRU, requests=4, items=256)
TEXT_16 = Case("text, 16 streams", "text", GRU, requests=16, items=256)
TEXT_256 = Case("text, 256 streams", "text", GRU, requests=256, items=256)
TEXT_1024 = Case("text, 1,024 streams", "text", GRU, requests=1_024, items=128)
STREAMS = (TEXT_1, TEXT_4, TEXT_16, TEXT_64, TEXT_256, TEXT_1024)

PROMPTED = Case("text, 256 prompted streams", "text", GRU, requests=256, items=64, prompt=100)
HALF_LOAD = replace(PROMPTED, name="arrivals, 50 % load", load=0.5)
FULL_LOAD = replace(PROMPTED, name="arrivals, 80 % load", load=0.8)
ARRIVALS = (HALF_LOAD, FULL_LOAD)

PROMPTS = (
    Case("prompt of 1 token", "text", GRU, requests=1, items=1, repeats=20),
    Case("prompt of 10 tokens", "text", GRU, requests=1, items=1, repeats=20, prompt=10),
    Case("prompt of 100 tokens", "text", GRU, requests=1, items=1, repeats=5, prompt=100),
    Case("prompt of 1,000 tokens", "text", GRU, requests=1, items=1, repeats=2, prompt=1_000),
)

PNG_64 = Case("images, 64 clients x 1, PNG", "images", DIGITS, requests=64, items=1, repeats=10, form="png")
WALK = Case("interpolation, 1 client x 512", "walk", DIGITS, requests=1, items=512)
FOREIGN_8 = Case("foreign, 8 streams", "text", FOREIGN, requests=8, items=16)

PLAN = (
    Task(TEXT_1, ("k4", "k1", "served", "plain", "bare", "fused"), "plain"),
    Task(TEXT_4, ("served", "fused"), "fused"),
    Task(TEXT_16, ("served", "fused"), "fused"),
    Task(TEXT_64, ("served", "plain", "bare", "fused"), "fused"),
    Task(NGRAM_64, ("served", "fused"), "fused"),
    Task(TEXT_256, ("served",), "fused", TEXT_64),
    Task(TEXT_1024, ("served",), "fused", TEXT_64),
    *(Task(case, ("served",), "plain", TEXT_1) for case in PROMPTS),
    *(Task(case, ("served",), "fused", TEXT_64) for case in (PROMPTED, *ARRIVALS)),
    Task(IMAGES_64, ("served", "empty", "decode"), "decode"),
    Task(PNG_64, ("served", "decode"), "decode"),
    Task(IMAGES_1, ("served", "decode"), "decode"),
    Task(WALK, ("served", "decode"), "decode"),
    Task(DIFFUSION_16, ("served", "denoise"), "denoise"),
    Task(FOREIGN_8, ("served", "plain", "fused"), "fused"),
)
"""`make bench`. Arrivals come at a share of the rate that PROMPTED was served at before in the same round."""

RIVALS_PLAN = (
    Task(TEXT_64, ("served", "pytriton", "mlserver", "pytriton16", "mlserver16", "fused"), "fused"),
    Task(TEXT_1, ("served", "k4", "k1", "pytriton", "mlserver", "plain"), "plain"),
    Task(IMAGES_64, ("served", "pytriton", "mlserver", "empty", "decode"), "decode"),
    Task(IMAGES_1, ("served", "pytriton", "mlserver", "decode"), "decode"),
)
"""`make bench-rivals`."""
