"""Runs an image's files as a container: process 1, its own user, a read-only root, no capabilities."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cost import children

from image.building import Image
from support.server import Process, ready

CONTAIN = Path(__file__).with_name("contain.sh")


@dataclass(frozen=True, slots=True)
class Container:
    """The image's server, ready; `pid` is what this machine calls its process 1."""

    server: Process
    pid: int

    @property
    def address(self) -> str:
        """Where gRPC is reached from this machine."""
        return _here(self.server.address)

    @property
    def metrics_address(self) -> str:
        """Where the metrics page is reached from this machine."""
        return _here(self.server.metrics_address)

    def ask_to_stop(self) -> None:
        """Send process 1 what `docker stop` sends."""
        os.kill(self.pid, signal.SIGTERM)

    def stop(self) -> int:
        """Ask it to stop, and wait for the exit code."""
        self.ask_to_stop()
        return self.server.process.wait(60)

    def status(self) -> dict[str, str]:
        """What the kernel says of process 1."""
        lines = Path(f"/proc/{self.pid}/status").read_text("ascii").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def stopped_while_loading(image: Image) -> tuple[int, str]:
    """Send process 1 a stop after its first model: the exit code, and what it said from then on."""
    words = _words(image, *image.settings.entrypoint)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=image.settings.environ) as started:
        try:
            next(line for line in started.stdout or () if '"model loaded"' in line)
            os.kill(children(started.pid)[0], signal.SIGTERM)
            said, _ = started.communicate(timeout=60)
        finally:
            started.kill()
        return started.returncode, said


@contextmanager
def serving(image: Image, **environ: str) -> Iterator[Container]:
    """Run the image's entry point on free ports, with further variables."""
    ports = {"RHAPSODE_ADDRESS": "0.0.0.0:0", "RHAPSODE_METRICS_ADDRESS": "0.0.0.0:0"}
    with ready(_words(image, *image.settings.entrypoint), image.settings.environ | ports | environ) as server:
        yield Container(server, children(server.process.pid)[0])


def run(image: Image, *words: str) -> subprocess.CompletedProcess[str]:
    """Run words in a container of the image, to their end."""
    return subprocess.run(
        _words(image, *words), env=image.settings.environ, capture_output=True, text=True, timeout=120, check=False
    )


def _words(image: Image, *words: str) -> list[str]:
    user = image.settings.user.partition(":")[0]
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    return [*unshare, "bash", str(CONTAIN), str(image.root), user, *words]


def _here(address: str) -> str:
    return f"127.0.0.1:{address.rpartition(':')[2]}"
