"""All scenarios, in the order in which they are run."""

from benchmarks.abuse import cancelled, vanished
from benchmarks.abuse.promise import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("cancelled", "streams cancelled at random moments", cancelled.run),
    Scenario("killed", "clients killed in mid-stream", vanished.run_killed),
    Scenario("frozen", "clients frozen in mid-stream", vanished.run_frozen),
)
