"""A server of the shipped text and picture models, in a process of its own, that is about to be abused."""

import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.vitals import Patient
from deploy.child import Child, child, saying

TEXT, PICTURES = "shakespeare-rnn", "digits-gan"
SHIPPED = Path("models")
QUICKLY = ("--provider=cpu", "--threads=1", "--drain-delay=0", "--grace=10", "--log-format=json")
STOPS = 60.0  # seconds that a stop may take


@dataclass(frozen=True, slots=True)
class Victim:
    """A server that is ready."""

    child: Child
    address: str
    metrics_address: str
    patient: Patient

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self.child.process.pid

    def stop(self) -> int:
        """Have it stop gracefully: its exit code."""
        self.child.process.send_signal(signal.SIGTERM)
        return self.child.process.wait(STOPS)


@contextmanager
def victim(
    *flags: str, folder: Path = SHIPPED, names: Sequence[str] = (TEXT, PICTURES), port: int = 0
) -> Iterator[Victim]:
    """Serve bundles of a folder on a port of 127.0.0.1, a free one for 0; killed at the end if it still runs."""
    with models(folder, names) as chosen, serving(chosen, *flags, port=port) as server:
        yield server


@contextmanager
def models(folder: Path = SHIPPED, names: Sequence[str] = (TEXT, PICTURES)) -> Iterator[Path]:
    """A folder of some bundles of another one, since servers load all that there are."""
    with tempfile.TemporaryDirectory() as made:
        for name in names:
            shutil.copytree(folder / name, Path(made) / name)
        yield Path(made)


@contextmanager
def serving(folder: Path, *flags: str, port: int = 0) -> Iterator[Victim]:
    """Serve all bundles of a folder."""
    addresses = (f"--address=127.0.0.1:{port}", "--metrics-address=127.0.0.1:0")
    with child(
        [sys.executable, "-m", "rhapsode_server.main", f"--models={folder}", *QUICKLY, *addresses, *flags]
    ) as started:
        said = json.loads(started.until(saying("ready")))
        metrics_address = said["metrics_address"]
        yield Victim(started, said["address"], metrics_address, Patient(started.process.pid, metrics_address))
