"""Sends spoilt requests to servers of its own, as many as asked for, and tells what they should not have answered."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
from benchmarks.fuzz.cases import case, with_credential
from benchmarks.fuzz.credentials import TOKENS, write_access
from benchmarks.fuzz.examples import Corpus, corpus
from benchmarks.fuzz.fuzzing import Tally, fuzz
from benchmarks.fuzz.giants import Refusals, measure
from benchmarks.fuzz.server_log import failures, refusal_milliseconds, secrets_told
from benchmarks.fuzz.tables import HEAD, answers, giant, reached, refusal_times, row
from benchmarks.vitals import Patient, Vitals
from deploy.local_server import LocalServer, running_server
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

# What is asked is looked at, not how much: the server's own settings bound the work of a request.
FLAGS = (
    "--provider=cpu",
    "--threads=1",
    "--max-tokens=64",
    "--max-prompt-tokens=64",
    "--max-images-per-stream=32",
    "--maximum-deadline=20",
    "--default-deadline=20",
)
SPARE = 8  # descriptors and tasks that may come and go: connections of the metrics page, threads
PATIENCE = 90.0
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    models: Path
    count: int
    seed: int
    access: float
    in_flight: int
    out: Path
    show: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run."""

    tally: Tally
    before: Vitals
    after: Vitals
    giants: Refusals | None
    """What it then cost to refuse far too much, where that was asked."""
    lines: Sequence[str]
    """Of its log."""
    problems: Sequence[str]
    """What is wrong, besides answers."""


def main() -> int:
    """Run, and write down the findings; 1 if there are any."""
    options = _options()
    console = Console()
    reports = _run(options, console)
    for report in reports:
        _tell(report, console)
    findings = [finding for report in reports for finding in report.tally.findings]
    problems = [problem for report in reports for problem in report.problems]
    with (options.out / "fuzz-requests.jsonl").open("w", encoding="utf-8") as file:
        for finding in findings:
            file.write(json.dumps(asdict(finding)) + "\n")
    console.print(f"findings: {len(findings)}, problems of the servers: {len(problems)}; as Markdown:")
    line = row([report.tally for report in reports], options.seed, len(problems))
    console.print(f"{HEAD}\n{line}", markup=False, soft_wrap=True)
    return 1 if findings or problems else 0


def _options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles that are served")
    parser.add_argument("--count", type=int, default=100_000, help="requests to send")
    parser.add_argument("--seed", type=int, default=1, help="number of the first request; each is made of its own")
    parser.add_argument("--access", type=float, default=0.2, help="share of them to a server with an access file")
    parser.add_argument("--in-flight", type=int, default=64, help="requests at a time")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the findings and the servers' logs")
    parser.add_argument("--show", action="store_true", help="print each request before it is sent")
    return Options(**vars(parser.parse_args()))


def _run(options: Options, console: Console) -> Sequence[Report]:
    """Fuzz a server that anybody may call, then one that controls access."""
    numbers = range(options.seed, options.seed + options.count)
    first = len(numbers) - round(options.access * len(numbers))
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "fuzz-requests.log"
    with running_server(options.models, log, *FLAGS) as server:
        with grpc.insecure_channel(server.address) as channel:
            known = corpus(channel)
        patient = Patient(server.process_id, server.metrics_address)
        tally, before = _fuzzed(options, server, known, numbers[:first], console)
        after = patient.until(lambda now: back(now, before), PATIENCE)
        with grpc.insecure_channel(server.address) as channel:
            giants = measure(channel, known, patient)
    lines = log.read_text(encoding="utf-8").splitlines()
    reports = [Report(tally, before, after, giants, lines, list(failures(lines)))]
    return reports if first == len(numbers) else [*reports, _controlled(options, known, numbers[first:], console)]


def _controlled(options: Options, known: Corpus, numbers: Sequence[int], console: Console) -> Report:
    log = options.out / "fuzz-access.log"
    with TemporaryDirectory() as folder:
        file = write_access(Path(folder) / "access.toml")
        with running_server(options.models, log, *FLAGS, f"--access={file}") as server:
            tally, before = _fuzzed(options, server, known, numbers, console, access=True)
            patient = Patient(server.process_id, server.metrics_address)
            after = patient.until(lambda now: back(now, before), PATIENCE)
    lines = log.read_text(encoding="utf-8").splitlines()
    return Report(tally, before, after, None, lines, [*failures(lines), *secrets_told(lines, TOKENS)])


def _fuzzed(
    options: Options,
    server: LocalServer,
    known: Corpus,
    numbers: Sequence[int],
    console: Console,
    access: bool = False,
) -> tuple[Tally, Vitals]:
    if options.show:
        for number in numbers:
            asked = case(number, known)
            shown = with_credential(asked) if access else asked
            console.print(number, shown.kind, shown.method.path, shown.credential or "", shown.hex, soft_wrap=True)
    before = Patient(server.process_id, server.metrics_address).look()
    with _progress(console) as progress:
        task = progress.add_task("requests", total=len(numbers), findings=0)

        def told(tally: Tally) -> None:
            progress.update(task, completed=tally.sent, findings=len(tally.findings))

        return asyncio.run(_interruptible(server.address, known, numbers, options.in_flight, told, access)), before


async def _interruptible(
    address: str,
    known: Corpus,
    numbers: Iterable[int],
    in_flight: int,
    told: Callable[[Tally], None],
    access: bool,
) -> Tally:
    """Fuzz until Ctrl-C: then what is under way is still looked at."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopped.set)
    left = (number for number in numbers if not stopped.is_set())
    return await fuzz(address, known, left, in_flight, told, access)


def back(now: Vitals, before: Vitals) -> bool:
    """Whether the server holds no more than it did."""
    descriptors, tasks = now.descriptors - before.descriptors, now.tasks - before.tasks
    return now.idle and descriptors <= SPARE and tasks <= SPARE


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found = TextColumn("findings {task.fields[findings]}")
    return Progress(*columns, TimeRemainingColumn(), found, console=console)


def _tell(report: Report, console: Console) -> None:
    console.print(answers(report.tally), reached(report.tally))
    console.print(f"{report.tally.sent} requests, and {report.tally.sound} sound ones beside them")
    console.print(f"before: {report.before}\nafter:  {report.after}")
    for line in refusal_times(refusal_milliseconds(report.lines)):
        console.print(line)
    if report.giants is not None:
        console.print(giant(report.giants))
    for finding in report.tally.findings[:_SHOWN]:
        console.print(f"{finding.number} {finding.kind} {finding.path}: {finding.what}", markup=False)
    for problem in report.problems[:_SHOWN]:
        console.print(problem, markup=False)


if __name__ == "__main__":
    sys.exit(main())
