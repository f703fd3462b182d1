"""An imported model loaded as it would be served, by the server of this environment, before it is written."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_exporter.errors import ImportRefusedError
from rhapsode_exporter.importer.importing import Imported, write_imported

_SERVER = "rhapsode-server"


def rehearse(imported: Imported) -> str:
    """What is to be said of it: that the server loads the model, or why no server was asked.

    Raises ImportRefusedError with the server's own lines where it refuses the model, as it does for rules that are not
    checked here: its limits on operators and sizes.
    """
    program = Path(sys.executable).with_name(_SERVER)
    if not program.exists():
        return f"not rehearsed: there is no {_SERVER} beside this program"
    with TemporaryDirectory() as models:
        copy = Bundle()
        copy.CopyFrom(imported.manifest)
        write_imported(replace(imported, manifest=copy), Path(models))
        words = [str(program), "--check", f"--models={models}", "--provider=cpu"]
        done = subprocess.run(words, capture_output=True, text=True, env=_environment(), check=False)
    if done.returncode and done.stderr.startswith(f"{_SERVER}: "):  # a library of its is not installed
        return f"not rehearsed: {done.stderr.strip()}"
    if done.returncode:
        lines = "".join(f"\n  {line}" for line in done.stderr.splitlines() or [f"it ended with {done.returncode}"])
        raise ImportRefusedError(f"the server would not load {imported.manifest.name}:{lines}")
    return "the server loads it"


def _environment() -> dict[str, str]:
    """That of this process, without settings of a server that is not meant."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RHAPSODE_", "OTEL_"))}
