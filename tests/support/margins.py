"""How near a draw lies to a boundary: where two samplers may rightly differ, and nowhere else."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from rhapsode_server.models.noise import token_uniforms
from rhapsode_server.models.row import Alphabet, TextRow
from rhapsode_server.models.sampling import Sampling
from rhapsode_server.models.steps import Made
from rhapsode_server.models.text import TextSpec
from rhapsode_server.models.unfused import UnfusedSteps
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support.steppers import STATES

TOLERANCE = 1e-4  # of cumulative weight, filters' edges included: single precision over a thousand steps of a sum


def near_a_boundary(model: onnx.ModelProto, spec: TextSpec, drawn: Sequence[int], one: int, other: int) -> bool:
    """Whether, in double precision, the next draw lies within the tolerance of taking either of two tokens.

    Filters are tried a little wider and a little narrower, the uniform a little lower and a little higher.
    """
    weights, uniform = _weights(model, spec, drawn)
    reachable: set[int] = set()
    for slack in (-TOLERANCE, 0.0, TOLERANCE):
        kept = _kept(weights, spec.sampling, slack)
        share = np.cumsum(np.where(kept, weights, 0.0))
        for nudge in (-TOLERANCE, 0.0, TOLERANCE):
            reachable.add(int(np.argmax(share > np.clip(uniform + nudge, 0.0, 1.0 - 1e-12) * share[-1])))
    return {one, other} <= reachable


class _Watch(UnfusedSteps):
    """Steps one row, and keeps the last logits."""

    logits: NDArray[np.float64]

    def _step(self, rows: Sequence[TextRow], token: NDArray[np.int64]) -> NDArray[np.float32]:
        logits = super()._step(rows, token)
        self.logits = logits[0].astype(np.float64)
        return logits


def _weights(model: onnx.ModelProto, spec: TextSpec, drawn: Sequence[int]) -> tuple[NDArray[np.float64], float]:
    size = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    session = Runtime(RuntimeOptions(provider="cpu")).session(model.SerializeToString())
    alphabet = Alphabet(tuple(map(str, range(size))))
    steps = _Watch(session, STATES, alphabet)
    forced = (*spec.prompt, *spec.received, *drawn)
    made: Made = steps.run([TextRow(TextSpec(forced))], len(forced))
    assert made.sound.all()
    number = len(spec.received) + len(drawn)
    logits = _adjusted(steps.logits, spec.sampling, (*spec.received, *drawn))
    temperature = max(spec.sampling.temperature, 1e-38)
    weights = np.exp((logits - logits.max()) / temperature)
    return weights, float(token_uniforms(spec.seed, 0, number, 1)[0]) if spec.sampling.temperature else 0.0


def _adjusted(logits: NDArray[np.float64], setting: Sampling, seen: Sequence[int]) -> NDArray[np.float64]:
    made = logits.copy()
    for token, bias in setting.logit_bias:
        made[token] += bias
    for token in set(seen):
        made[token] = (
            made[token] / setting.repetition_penalty if made[token] > 0 else made[token] * setting.repetition_penalty
        )
        made[token] -= setting.presence_penalty + setting.frequency_penalty * seen.count(token)
    return made


def _kept(weights: NDArray[np.float64], setting: Sampling, slack: float) -> NDArray[np.bool_]:
    """Which tokens the filters keep when each of their edges gives way by `slack`, a share."""
    least = 0.0
    falling = np.sort(weights)[::-1]
    if 0 < setting.top_k < weights.size:
        least = falling[setting.top_k - 1] * (1 - slack)
    if setting.top_p < 1.0:
        left = falling[falling >= least]
        reached = np.flatnonzero(np.cumsum(left) >= (setting.top_p + slack) * left.sum())
        least = max(least, left[reached[0]] if reached.size else 0.0)
    return np.asarray(weights >= max(least, setting.min_p * (1 - slack)))
