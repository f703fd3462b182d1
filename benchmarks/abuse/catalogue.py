"""All scenarios, in the order in which they are run."""

from benchmarks.abuse import (
    attacks,
    cancelled,
    crowding,
    given_up,
    greed,
    idle,
    overload,
    questions,
    restart,
    rotation,
    scrapers,
    silent,
    stalled,
    stop,
    strangers,
    vanished,
)
from benchmarks.abuse.flood import Fate
from benchmarks.abuse.flood import scenario as flood
from benchmarks.abuse.promise import Scenario

_REFUSED = Fate("RESOURCE_EXHAUSTED", each=True, most_mb=100.0)  # no more than one message of them

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("cancelled", "streams cancelled at random moments", cancelled.run),
    Scenario("killed", "clients killed in mid-stream", vanished.run_killed),
    Scenario("frozen", "clients frozen in mid-stream", vanished.run_frozen),
    Scenario("overload", "ten times the load", overload.run),
    Scenario("stalled", "readers that stand still", stalled.run),
    Scenario("given-up", "the same, until they are given up", given_up.run),
    Scenario("idle", "idle streams", idle.run),
    Scenario("silent", "silent connections", silent.run),
    Scenario("crowding", "more connections than there may be", crowding.run),
    Scenario("greed", "a client that asks as fast as it can, beside others", greed.run),
    Scenario("strangers", "other protocols, broken frames, broken requests", strangers.run),
    Scenario("reset", "rapid reset of streams", flood(attacks.rapid_reset, 20_000, Fate(retries=True))),
    Scenario("pings", "pings", flood(attacks.pings, 20_000, Fate("GOAWAY ENHANCE_YOUR_CALM"))),
    Scenario("settings", "changes of settings", flood(attacks.settings, 20_000)),
    Scenario("packed", "headers of 17 KB that unpack to 40 MB", flood(attacks.packed_headers, 50, _REFUSED)),
    Scenario("fat", "metadata of 17 KiB", flood(attacks.fat_headers, 50, _REFUSED)),
    Scenario(
        "endless",
        "frames of headers that never end",
        flood(attacks.endless_headers, 100_000, Fate("RESOURCE_EXHAUSTED", sure=False)),
    ),
    Scenario(
        "unanswered",
        "the same, settings unanswered",
        flood(attacks.endless_unanswered, 100_000, Fate("RESOURCE_EXHAUSTED", sure=False)),
    ),
    Scenario("gzip", "messages of 200 KB that unpack to 200 MB", flood(attacks.gzip_bombs, 20, _REFUSED)),
    Scenario("long", "messages of 100 MB", flood(attacks.long_messages, 20, _REFUSED)),
    Scenario("questions", "questions about health and services without end", questions.run),
    Scenario("scrapers", "scrapers of the metrics page", scrapers.run),
    Scenario("rotation", "certificates renewed under load", rotation.run),
    Scenario("stop", "SIGTERM under load", stop.run),
    Scenario("watched", "SIGTERM beside watchers that read nothing", stop.run_watched),
    Scenario("restart", "SIGKILL and restart under load", restart.run),
)
