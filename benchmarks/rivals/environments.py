"""An environment of its own for each rival, made once from exact pins."""

import subprocess
import sys
from pathlib import Path

from benchmarks.rivals.errors import RivalFailedError

_ROOT = Path(__file__).resolve().parents[2]
_LAST_LINES = 20


def python_of(rival: str, folder: Path = _ROOT / ".bench") -> Path:
    """The interpreter of a rival's environment, which is made where it is missing or its pins have changed.

    Raises RivalFailedError where pip cannot install it.
    """
    pins = requirements(rival).read_text(encoding="utf-8")
    home, stamp = folder / rival, folder / rival / "installed.txt"
    python = home / "bin" / "python"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != pins:
        _call([sys.executable, "-m", "venv", "--clear", str(home)])
        _call([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements(rival))])
        stamp.write_text(pins, encoding="utf-8")
    return python


def requirements(rival: str) -> Path:
    """The file that pins all that a rival's environment holds."""
    return Path(__file__).with_name(f"requirements-{rival}.txt")


def _call(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        end = "\n".join(done.stdout.splitlines()[-_LAST_LINES:])
        raise RivalFailedError(f"{' '.join(command)} ended with {done.returncode}:\n{end}")
