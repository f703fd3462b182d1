"""The stop rule that all training loops share."""

from dataclasses import dataclass

from rhapsode.v1.bundle_pb2 import StopReason


@dataclass(frozen=True, slots=True)
class Equilibrium:
    """Neither player may gain more than `epsilon` of loss in `steps` steps alone against the other, frozen."""

    epsilon: float
    steps: int


@dataclass(frozen=True, slots=True)
class StopRule:
    """When to stop: after `steps`, or earlier if one of the other conditions is set and holds."""

    steps: int
    error_below: float | None = None
    change_below: float | None = None
    equilibrium: Equilibrium | None = None


@dataclass(frozen=True, slots=True)
class Gains:
    """How far each player's loss fell when it was trained alone against the other, frozen."""

    generator: float
    critic: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What a loop knows after `step` steps; None where it did not measure just now."""

    step: int
    error: float | None = None
    previous_error: float | None = None
    gains: Gains | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run ended, with the figure that fired the rule in words."""

    reason: StopReason.ValueType
    detail: str


def decide(rule: StopRule, reading: Reading) -> Stop | None:
    """The first condition of the rule that the reading fulfils; None to go on."""
    for condition in (_error, _change, _equilibrium, _steps):
        stop = condition(rule, reading)
        if stop is not None:
            return stop
    return None


def interrupted(step: int) -> Stop:
    """The stop of a run that a person ended after `step` steps."""
    return Stop(StopReason.STOP_REASON_INTERRUPTED, f"ended by hand after {step} steps")


def _error(rule: StopRule, reading: Reading) -> Stop | None:
    if rule.error_below is None or reading.error is None or not reading.error < rule.error_below:
        return None
    return Stop(
        StopReason.STOP_REASON_ERROR,
        f"error {reading.error:.6g} fell below {rule.error_below:g} at step {reading.step}",
    )


def _change(rule: StopRule, reading: Reading) -> Stop | None:
    if rule.change_below is None or reading.error is None or reading.previous_error is None:
        return None
    change = abs(reading.error - reading.previous_error)
    if not change < rule.change_below:
        return None
    return Stop(
        StopReason.STOP_REASON_CHANGE,
        f"error changed by {change:.3g}, less than {rule.change_below:g}, at step {reading.step}",
    )


def _equilibrium(rule: StopRule, reading: Reading) -> Stop | None:
    if rule.equilibrium is None or reading.gains is None:
        return None
    gains, epsilon = reading.gains, rule.equilibrium.epsilon
    if not (gains.generator <= epsilon and gains.critic <= epsilon):
        return None
    return Stop(
        StopReason.STOP_REASON_EQUILIBRIUM,
        f"alone for {rule.equilibrium.steps} steps the generator gained {gains.generator:.3g} and the critic "
        f"{gains.critic:.3g}, neither more than {epsilon:g}, at step {reading.step}",
    )


def _steps(rule: StopRule, reading: Reading) -> Stop | None:
    if reading.step < rule.steps:
        return None
    return Stop(StopReason.STOP_REASON_STEPS, f"all {rule.steps} steps taken")
