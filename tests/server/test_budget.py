"""How many steps a run may take: the fewest tests that pin the prediction down."""

from rhapsode_server.models.budget import RunBudget


def test_the_first_run_takes_one_step_and_later_ones_what_fits() -> None:
    budget = RunBudget(seconds=0.025, most=16)
    assert budget.steps(64) == 1
    budget.took(64, 1, 0.005)
    assert budget.steps(64) == 5


def test_a_run_takes_at_least_one_step_and_no_more_than_it_may() -> None:
    budget = RunBudget(seconds=0.025, most=16)
    budget.took(1, 4, 0.0004)
    assert budget.steps(1) == 16
    budget.took(64, 1, 10.0)
    assert budget.steps(64) == 1


def test_the_mean_follows_what_runs_take() -> None:
    budget = RunBudget(seconds=0.025, most=16)
    for _ in range(50):
        budget.took(8, 5, 0.05)
    assert budget.steps(8) == 2
    for _ in range(50):
        budget.took(8, 5, 0.01)
    assert budget.steps(8) == 12


def test_of_a_size_never_seen_it_is_careful() -> None:
    budget = RunBudget(seconds=0.025, most=16)
    budget.took(4, 1, 0.002)
    assert budget.steps(16) == 3  # four times the rows: at most 8 ms a step
    assert budget.steps(1) == 12  # a smaller batch takes no longer
