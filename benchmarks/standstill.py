"""How long the reader of a stream stands still when its server is killed and started again at once."""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import Figure
from benchmarks.cold import START, server_process, wait_until_serving
from benchmarks.cost import processor
from benchmarks.report import Sheet
from benchmarks.served import EVERYBODY
from benchmarks.spread import spread

from rhapsode_client import Client
from rhapsode_client.streams import TextStream

STILL = "SIGKILL to the next token at the client, s"
MODEL = "shakespeare-rnn"
TOKENS_BEFORE = 256
_TOKENS = 8_192
_QUIET = 0.2  # seconds; what a killed server had sent comes without such a gap, and no server starts sooner


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    models: Path
    out: Path
    rounds: int


def standstill_figures(models: Path, model: str, log: Path, flags: Sequence[str]) -> tuple[Figure, ...]:
    """Seconds that a server takes to SERVING, and those that a stream stands still when it is killed in the middle.

    The client is the library with its own settings; the server is started again as soon as the killed process is gone.
    """
    with tempfile.TemporaryDirectory() as folder, log.open("wb") as output:
        socket = Path(folder) / "grpc"
        begun = time.perf_counter()
        with server_process(models, socket, output.fileno(), flags) as server, Client(f"unix:{socket}") as client:
            wait_until_serving(socket)
            start = time.perf_counter() - begun
            stream = client.stream_text(model, seed=1, max_tokens=_TOKENS)
            _read(stream, TOKENS_BEFORE)
            killed = time.perf_counter()
            server.kill()
            server.wait()
            socket.unlink()
            with server_process(models, socket, output.fileno(), flags):
                still = _next_after_the_break(stream) - killed
                stream.close()
    return Figure(START, start), Figure(STILL, still)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print the table as Markdown."""
    options = _read_options(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "bench-standstill.log"
    rounds = [
        standstill_figures(options.models, MODEL, log, ("--provider=cpu", *EVERYBODY)) for _ in range(options.rounds)
    ]
    lines = tuple((each[0].name, str(spread([figure.value for figure in each]))) for each in zip(*rounds, strict=True))
    title = f"{options.rounds} rounds, {processor()}: median (quartiles)"
    print(Sheet(title, ("figure", "median (quartiles)"), lines).markdown())


def _read(stream: TextStream, tokens: int) -> None:
    while tokens > 0:
        tokens -= len(next(stream).token_ids)


def _next_after_the_break(stream: TextStream) -> float:
    """When the first chunk of the new server came."""
    while True:
        waiting = time.perf_counter()
        next(stream)
        came = time.perf_counter()
        if came - waiting > _QUIET:
            return came


def _read_options(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description="Measures how long a stream stands still when its server is killed.")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles (default: models)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the servers' log (default: out)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds (default: 15)")
    return Options(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
