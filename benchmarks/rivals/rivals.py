"""PyTriton and MLServer with our bundles behind them, measured as our server is."""

import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks.bundles import newest, opened
from benchmarks.cases import Case, Measurement, Way
from benchmarks.rivals import starting
from benchmarks.rivals.environments import python_of
from benchmarks.rivals.errors import RivalFailedError
from benchmarks.rivals.load import Load, Taken
from benchmarks.rivals.processes import family_cpu_seconds
from benchmarks.rivals.serving import Serving

RIVALS: tuple[Way, ...] = ("pytriton", "mlserver")

_LAST_LINES = 20


@dataclass(frozen=True, slots=True)
class Rival:
    """A rival's server that is ready, and the client that asks it."""

    way: Way
    server: "subprocess.Popen[bytes] | subprocess.Popen[str]"
    client: "subprocess.Popen[str]"
    latent_sizes: Mapping[str, int]
    log: Path


@contextmanager
def running(way: Way, models: Path, cases: Sequence[Case], log: Path) -> Iterator[Rival]:
    """Serve the models of `cases`, from a folder as --models takes it; what the server says goes to `log`.

    Makes the rival's environment where there is none, which takes minutes. Raises RivalFailedError where it cannot be
    installed or does not get ready.
    """
    python = python_of(way)
    with ExitStack() as stack, log.open("wb") as output:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rival-")))
        serving = _serving(models, cases, folder / "work")
        server = stack.enter_context(starting.server(way, python, serving, output))
        client = stack.enter_context(starting.client(way, python, serving, output))
        try:
            starting.wait_until_ready(server, client)
        except RivalFailedError as failure:
            raise RivalFailedError(f"{way}: {failure}:\n{_tail(log)}") from None
        sizes = {name: opened(newest(models, name)).manifest.latent.size for name in serving.images}
        yield Rival(way, server, client, MappingProxyType(sizes), log)


def measure(rival: Rival, case: Case, seed: int, tokens_a_message: int = 1) -> Measurement:
    """Run a case of texts or raw pictures; the CPU time is that of all the rival's processes.

    A text's first token comes at once, the others `tokens_a_message` at a time. Raises RivalFailedError where the
    client ends without an answer.
    """
    if case.kind == "walk" or case.form != "float32" or case.prompt != 1 or case.load:
        raise ValueError(f"{case.name}: rivals do texts without a prompt and raw pictures, all sent at once")
    load = Load(
        case.kind,
        case.model,
        case.requests,
        case.items,
        case.repeats,
        seed,
        tokens_a_message,
        rival.latent_sizes.get(case.model, 0),
    )
    before = family_cpu_seconds(rival.server.pid)
    taken = _ask(rival, load)
    spent = family_cpu_seconds(rival.server.pid) - before
    return Measurement(
        case.name, rival.way, case.total, taken.wall_seconds, spent, taken.cpu_seconds, taken.firsts, taken.ends
    )


def _ask(rival: Rival, load: Load) -> Taken:
    assert rival.client.stdin
    assert rival.client.stdout
    print(load.line(), file=rival.client.stdin, flush=True)
    line = rival.client.stdout.readline()
    if not line:
        code = rival.client.wait()
        raise RivalFailedError(f"{rival.way}: its client ended with {code} while it ran {load}:\n{_tail(rival.log)}")
    return Taken.read(line)


def _serving(models: Path, cases: Sequence[Case], workspace: Path) -> Serving:
    grpc_port, http_port = free_ports(2)
    text = sorted({case.model for case in cases if case.kind == "text"})
    images = sorted({case.model for case in cases if case.kind == "images"})
    return Serving(models.resolve(), text, images, grpc_port, http_port, workspace)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; the rivals cannot be told to choose their own and say which."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:])
