"""One mutant tried out: written, loaded and served, with what came of it in a word."""

import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.fuzz import bundle_mutants as mutants
from benchmarks.fuzz.bundle_serving import serve

from rhapsode_server.errors import BundleError
from rhapsode_server.repository import loading
from rhapsode_server.repository.stepping import Batching
from rhapsode_server.runtime.providers import Runtime

_PEAK = Path("/proc/self/clear_refs")
_TRACES = ("Traceback", 'File "', "/onnxruntime_src", ".py")


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a mutant: refused, served, or a finding that says what is wrong."""

    number: int
    refused: str = ""
    finding: str = ""
    seconds: float = 0.0
    megabytes: int = 0
    """By which its memory grew at the most."""

    def fields(self) -> dict[str, object]:
        """To be sent as JSON."""
        return asdict(self)


def run(number: int, bundles: Sequence[Path], runtime: Runtime) -> Trial:
    """Try the mutant of this number."""
    with tempfile.TemporaryDirectory() as place:
        folder = mutants.write(number, bundles, Path(place))
        if _PEAK.exists():
            _PEAK.write_text("5", encoding="ascii")  # the peak is counted from now on
        begun, before = time.perf_counter(), _memory("VmRSS")
        refused, finding = _outcome(folder, runtime)
        return Trial(number, refused, finding, time.perf_counter() - begun, (_memory("VmHWM") - before) >> 10)


def _outcome(folder: Path, runtime: Runtime) -> tuple[str, str]:
    try:
        serve(loading.load(folder, runtime, Batching(max_batch=8)))
    except BundleError as error:
        leak = next((word for word in (*_TRACES, str(folder)) if word in error.message), "")
        rule = error.message.partition("docs/bundle.md, ")[2].partition(")")[0]
        return rule, f"the message tells {leak!r}: {error.message[:300]}" if leak else ""
    except Exception as error:  # whatever it is, it is a finding
        last = traceback.extract_tb(error.__traceback__)[-1]
        return "", f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}: {str(error)[:200]}"
    return "", ""


def _memory(name: str) -> int:
    """KiB, as the kernel counts them; 0 where it does not."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith(name))
    return int(line.split()[1])
