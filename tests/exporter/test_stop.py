"""The stop rule decides on values alone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhapsode.v1.bundle_pb2 import StopReason
from rhapsode_exporter.run.stop import Equilibrium, Gains, Reading, Stop, StopRule, decide, interrupted

RULE = StopRule(steps=100, error_below=0.5, change_below=0.01, equilibrium=Equilibrium(epsilon=0.1, steps=20))


def reason(stop: Stop | None) -> str | None:
    return None if stop is None else StopReason.Name(stop.reason).removeprefix("STOP_REASON_")


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (Reading(99), None),
        (Reading(100), "STEPS"),
        (Reading(101), "STEPS"),
        (Reading(10, error=0.5), None),
        (Reading(10, error=0.49), "ERROR"),
        (Reading(10, error=math.nan), None),
        (Reading(10, error=0.70, previous_error=0.72), None),
        (Reading(10, error=0.70, previous_error=0.705), "CHANGE"),
        (Reading(10, error=0.705, previous_error=0.70), "CHANGE"),
        (Reading(10, error=0.70), None),
        (Reading(10, gains=Gains(generator=0.1, critic=0.1)), "EQUILIBRIUM"),
        (Reading(10, gains=Gains(generator=0.11, critic=0.0)), None),
        (Reading(10, gains=Gains(generator=0.0, critic=0.11)), None),
        (Reading(10, gains=Gains(generator=math.nan, critic=0.0)), None),
        (Reading(100, error=0.4), "ERROR"),
    ],
)
def test_the_first_condition_that_holds_ends_the_run(reading: Reading, expected: str | None) -> None:
    assert reason(decide(RULE, reading)) == expected


@given(
    step=st.integers(0, 99),
    error=st.none() | st.floats(allow_nan=True),
    previous=st.none() | st.floats(allow_nan=True),
    gain=st.floats(allow_nan=True),
)
def test_a_condition_that_is_not_set_never_fires(
    step: int, error: float | None, previous: float | None, gain: float
) -> None:
    assert decide(StopRule(steps=100), Reading(step, error, previous, Gains(gain, gain))) is None


def test_the_detail_names_the_figure_that_fired() -> None:
    stop = decide(RULE, Reading(7, error=0.25))
    assert stop is not None
    assert stop.detail == "error 0.25 fell below 0.5 at step 7"
    assert interrupted(7) == Stop(StopReason.STOP_REASON_INTERRUPTED, "ended by hand after 7 steps")
