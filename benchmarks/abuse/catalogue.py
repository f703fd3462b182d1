"""All scenarios, in the order in which they are run."""

from benchmarks.abuse import cancelled
from benchmarks.abuse.promise import Scenario

SCENARIOS: tuple[Scenario, ...] = (Scenario("cancelled", "streams cancelled at random moments", cancelled.run),)
