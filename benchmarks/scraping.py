"""What requests notice of a metrics page that is scraped 50 times a second."""

import argparse
import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Literal

import grpc
import uvloop
from benchmarks.cases import DIGITS, GRU, Case
from benchmarks.cost import cpu_seconds, processor
from benchmarks.report import Sheet
from benchmarks.requests import send
from benchmarks.spread import percentile, spread
from deploy.local_server import LocalServer, running_server

RATE = 50.0  # scrapes a second
CASES = (Case("a picture", "images", DIGITS, requests=1, items=1), Case("a stream", "text", GRU, requests=1, items=64))
AS_PROMETHEUS = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}
_PATIENCE = 10.0
_WARM_UP = 10  # requests
SETTINGS = ("--provider=cpu", "--threads=1")

Way = Literal["quiet", "beside", "scraped"]
Asked = Mapping[Way, Event]
"""What is set while pages are wanted, for each way in which they are."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    models: Path
    out: Path
    rounds: int
    requests: int


@dataclass(frozen=True, slots=True)
class Phase:
    """Requests one after another: what each took, and the CPU time of the server meanwhile, in seconds."""

    ends: tuple[float, ...]
    wall: float
    cpu: float

    @property
    def p99(self) -> float:
        """Of what a request took."""
        return percentile(self.ends, 0.99)


@dataclass(frozen=True, slots=True)
class Round:
    """A case with and without scrapes, close to each other in time."""

    quiet: Phase
    beside: Phase
    """While a like server beside ours is scraped: what the scrapes take from the machine, and not from our process."""
    scraped: Phase


def scrape(address: str, asked: Event, made: "multiprocessing.Queue[int]") -> None:
    """Scrape RATE times a second as long as it is asked for; each page's bytes go to `made`. Never returns."""
    connection = HTTPConnection(address, timeout=_PATIENCE)  # kept, as Prometheus keeps it
    while asked.wait():
        due = time.perf_counter()
        while asked.is_set():
            made.put(page_bytes(connection))
            due += 1 / RATE
            time.sleep(max(0.0, due - time.perf_counter()))


def page_bytes(connection: HTTPConnection) -> int:
    """Bytes of the page, as Prometheus asks for it."""
    connection.request("GET", "/metrics", headers=AS_PROMETHEUS)
    return len(connection.getresponse().read())


@contextmanager
def scraper(address: str) -> Iterator[tuple[Event, "multiprocessing.Queue[int]"]]:
    """A process that scrapes while the event is set, and tells of each page."""
    context = multiprocessing.get_context("spawn")
    asked, made = context.Event(), context.Queue()
    process = context.Process(target=scrape, args=(address, asked, made), daemon=True)
    process.start()
    try:
        yield asked, made
    finally:
        process.kill()
        process.join()


async def phase(server: LocalServer, case: Case, requests: int, seed: int) -> Phase:
    """Send requests one after another over one connection."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        for number in range(_WARM_UP):
            await send(channel, case, seed, number)
        cpu, begun = cpu_seconds(server.process_id), time.perf_counter()
        ends = [(await send(channel, case, seed, number)).end for number in range(requests)]
        return Phase(tuple(ends), time.perf_counter() - begun, cpu_seconds(server.process_id) - cpu)


async def take(server: LocalServer, asked: Asked, case: Case, options: Options, number: int) -> Round:
    """All ways once, in another order each time."""
    ways: tuple[Way, ...] = ("quiet", "beside", "scraped")
    taken: dict[Way, Phase] = {}
    for way in (*ways[number % 3 :], *ways[: number % 3]):
        if way in asked:
            asked[way].set()
        taken[way] = await phase(server, case, options.requests, number)
        if way in asked:
            asked[way].clear()
    return Round(taken["quiet"], taken["beside"], taken["scraped"])


async def measure(server: LocalServer, asked: Asked, options: Options) -> Mapping[Case, Sequence[Round]]:
    """All rounds of all cases; the round before the first warms up and is thrown away."""
    rounds: dict[Case, list[Round]] = {case: [] for case in CASES}
    for number in range(options.rounds + 1):
        for case in CASES:
            rounds[case].append(await take(server, asked, case, options, number))
    return {case: taken[1:] for case, taken in rounds.items()}


def lines(case: Case, rounds: Sequence[Round]) -> Iterator[tuple[str, str]]:
    """What is told of a case."""
    for way in ("quiet", "beside", "scraped"):
        phases: list[Phase] = [getattr(each, way) for each in rounds]
        yield f"{case.name}, {way}: p50, ms", f"{_together(phases, 0.5):.2f}"
        yield f"{case.name}, {way}: p99, ms", str(spread([each.p99 * 1000 for each in phases]))
    yield f"{case.name}: p99, scraped / quiet", str(spread([each.scraped.p99 / each.quiet.p99 for each in rounds]))
    yield f"{case.name}: p99, scraped / beside", str(spread([each.scraped.p99 / each.beside.p99 for each in rounds]))
    more = [each.scraped.cpu / each.scraped.wall - each.quiet.cpu / each.quiet.wall for each in rounds]
    yield f"{case.name}: more CPU of the server, % of a core", str(spread([each * 100 for each in more]))


def _together(phases: Sequence[Phase], share: float) -> float:
    """A percentile of what the requests of all phases took, in milliseconds."""
    return percentile([end * 1000 for each in phases for end in each.ends], share)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print the table as Markdown."""
    options = _read_options(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "bench-scraping.log"
    with (
        running_server(options.models, log, *SETTINGS) as server,
        running_server(options.models, log.with_stem(f"{log.stem}-beside"), *SETTINGS) as other,
        scraper(server.metrics_address) as (asked, made),
        scraper(other.metrics_address) as (asked_beside, _),
    ):
        rounds = uvloop.run(measure(server, {"scraped": asked, "beside": asked_beside}, options))
        sizes = [made.get() for _ in range(made.qsize())]
    told = [line for case in CASES for line in lines(case, rounds[case])]
    told.append(("bytes of a page, packed", str(spread(sizes))))
    seconds = sum(each.scraped.wall for taken in rounds.values() for each in taken)
    title = f"{options.rounds} rounds, {len(sizes)} scrapes in {seconds:.0f} s, {processor()}: median (quartiles)"
    print(Sheet(title, ("figure", "median (quartiles)"), tuple(told)).markdown())


def _read_options(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description="Measures what requests notice of 50 scrapes a second.")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles (default: models)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the server's log (default: out)")
    parser.add_argument("--rounds", type=int, default=40, help="rounds (default: 40)")
    parser.add_argument("--requests", type=int, default=300, help="requests a case, way and round (default: 300)")
    return Options(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
