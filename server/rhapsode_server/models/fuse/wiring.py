"""The names of a fused graph's inputs and outputs; no bundle's tensor may begin with the prefix.

With b rows, k steps, vocabulary V, l rows in the last run and j rows that join it from outside:

| input | type and shape | meaning |
|---|---|---|
| steps | int64 [] | k (the Loop form only) |
| token | int64 [b] | the token to feed first |
| rows | int64 [b] | each row's state: its place in last‖joined; −1 for the initial state |
| forced | int64 [k, b] | the token after each step; −1 draws it |
| uniform | float32 [k, b, 1] | the uniforms in (0, 1) that draw |
| options | float32 [b, 7] | as in COLUMNS; temperature is above 0, and top-k's k is 0 where there is none |
| depth | int64 [1] | ranks to look at: the largest k; V where a row has top-p alone |
| bias | float32 [b, V] or [1, 1] | added to the logits |
| counts | float32 [b, V] or [1, 1] | how often each token has occurred |
| ranks | int64 [1] | how many of the likeliest tokens to tell |
| adjusts, filters, tells | bool [] | whether a row has bias or penalties, filters, log-probabilities (Loop form) |
| last.i, joined.i | [l, …], [j, …] | state i of the last run's rows, and of those that join |

| output | type and shape | meaning |
|---|---|---|
| tokens | int64 [k, b] | the token after each step |
| sound | bool [k, b] | whether its logits could be drawn from |
| chosen | float32 [k, b] | its logit less the largest one |
| total | float64 [k, b] | the sum of exp(logit − largest): log-probability = chosen − log(total) |
| top_values, top_ids | float32, int64 [k, b, ranks] | logits less the largest, and ids, of the likeliest tokens |
| state.i | [b, …] | state i after the last step |

In the unrolled form k and b are fixed, `depth` and `ranks` are constants. Without `tells`, `chosen`, `total`,
`top_values` and `top_ids` hold nothing of use, in smaller shapes.
"""

PREFIX = "rhapsode."

STEPS = PREFIX + "steps"
TOKEN = PREFIX + "token"
ROWS = PREFIX + "rows"
FORCED = PREFIX + "forced"
UNIFORM = PREFIX + "uniform"
OPTIONS = PREFIX + "options"
DEPTH = PREFIX + "depth"
BIAS = PREFIX + "bias"
COUNTS = PREFIX + "counts"
RANKS = PREFIX + "ranks"
ADJUSTS = PREFIX + "adjusts"
FILTERS = PREFIX + "filters"
TELLS = PREFIX + "tells"

# Columns of `options`, as values inside the graph: [b, 1] each.
TEMPERATURE = PREFIX + "temperature"
TOP_P = PREFIX + "top_p"
MIN_P = PREFIX + "min_p"
REPETITION = PREFIX + "repetition"
PRESENCE = PREFIX + "presence"
FREQUENCY = PREFIX + "frequency"
KEPT = PREFIX + "kept"
COLUMNS = (TEMPERATURE, TOP_P, MIN_P, REPETITION, PRESENCE, FREQUENCY, KEPT)

TOKENS = PREFIX + "tokens"
SOUND = PREFIX + "sound"
CHOSEN = PREFIX + "chosen"
TOTAL = PREFIX + "total"
TOP_VALUES = PREFIX + "top_values"
TOP_IDS = PREFIX + "top_ids"
MADE = (TOKENS, SOUND)
TOLD = (CHOSEN, TOTAL, TOP_VALUES, TOP_IDS)


def last(number: int) -> str:
    """The input that takes state `number` of the last run's rows."""
    return f"{PREFIX}last.{number}"


def joined(number: int) -> str:
    """The input that takes state `number` of the rows that join."""
    return f"{PREFIX}joined.{number}"


def state(number: int) -> str:
    """The output that gives state `number`."""
    return f"{PREFIX}state.{number}"
