"""The demonstration: trains a small model, serves it beside the shipped ones, and makes text and pictures with them."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from deploy import page, steps
from deploy.local_server import LocalServer, ServerFailedError, running_server
from deploy.steps import Places
from rich.console import Console
from rich.table import Table

from rhapsode_exporter.errors import ExporterError

ROOT = Path(__file__).resolve().parents[1]
INTERRUPTED = 130
WIDTH_IN_A_FILE = 120


@dataclass(frozen=True, slots=True)
class Done:
    """A step that was taken: what, with which result, in how many seconds of wall time."""

    what: str
    result: str
    seconds: float


class Diary:
    """Takes steps and remembers them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.done: list[Done] = []

    def step(self, what: str, action: Callable[[], str]) -> None:
        """Announce a step, take it, and note what it says of its result."""
        self._console.rule(f"[bold]{what}", align="left")
        begun = time.perf_counter()
        result = action()
        self.done.append(Done(what, result, time.perf_counter() - begun))


def main() -> int:
    """Run the demonstration: 0, or 1 with one line that says what failed, or 130 after Ctrl-C."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_IN_A_FILE)
    places = Places(ROOT / "models", ROOT / "out")
    places.out.mkdir(exist_ok=True)
    try:
        with _sigterm_as_ctrl_c():
            _demonstrate(Diary(console), places, console)
    except KeyboardInterrupt:
        console.print("interrupted; nothing was left running")
        return INTERRUPTED
    except (ServerFailedError, ExporterError, subprocess.CalledProcessError) as error:
        console.print(f"[red]the demonstration failed:[/] {error}", markup=True)
        return 1
    return 0


def _demonstrate(diary: Diary, places: Places, console: Console) -> None:
    diary.step("fetch data, by pinned SHA-256", partial(steps.fetch_digits, places))
    diary.step("draw unseen faces", partial(steps.draw_faces, places))
    diary.step(f"train, judge and export {steps.TRAINED}", partial(steps.train, places))
    diary.step("gather the bundles", partial(steps.add_shipped, places))
    with running_server(places.models, places.out / "server.log") as server:
        diary.done.append(Done("start the server", f"{server.address}, every bundle verified", server.ready_seconds))
        _use(diary, places, server)
        metrics = page.fetch(server.metrics_address)
        (places.out / "metrics.txt").write_text(metrics, encoding="utf-8")
        stopping = time.perf_counter()
    diary.done.append(Done("stop the server gracefully", "exit status 0", time.perf_counter() - stopping))
    console.print(_table_of_steps(diary.done), _table_of_lanes(page.lanes(metrics)))
    console.print("Look into out/: the sheets, face-morph.gif, metrics.txt, server.log.")


def _use(diary: Diary, places: Places, server: LocalServer) -> None:
    diary.step("rhapsode text: stream Shakespeare", partial(steps.recite, server))
    for model, name in steps.SHEETS:
        target = places.out / f"{name}.png"
        diary.step(f"rhapsode images: {model}", partial(steps.sheet, server, model, target))
    target = places.out / "face-morph.gif"
    diary.step("rhapsode morph: from face to face", partial(steps.morph, server, places, target))
    target = places.out / "face-glasses.png"
    diary.step("rhapsode edit: glasses on faces", partial(steps.glasses, server, places, target))


def _table_of_steps(done: Sequence[Done]) -> Table:
    table = Table(title="What was done (wall time, the start of each program included)", title_justify="left")
    table.add_column("step")
    table.add_column("result in out/")
    table.add_column("seconds", justify="right")
    for one in done:
        table.add_row(one.what, one.result, f"{one.seconds:.1f}")
    table.add_row("all", "", f"{sum(one.seconds for one in done):.1f}")
    return table


def _table_of_lanes(lanes: Sequence[page.Lane]) -> Table:
    table = Table(title="How fast the server was (time inside its runs, from its metrics)", title_justify="left")
    for heading in ("model", "graph"):
        table.add_column(heading)
    for heading in ("runs", "rows", "rows a run", "seconds", "rows a second"):
        table.add_column(heading, justify="right")
    for lane in lanes:
        figures = (f"{lane.rows / lane.runs:.1f}", f"{lane.run_seconds:.3f}", f"{lane.rows / lane.run_seconds:,.0f}")
        table.add_row(lane.model, lane.role, str(lane.runs), str(lane.rows), *figures)
    return table


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """End by the same way on SIGTERM as on Ctrl-C, so that the server is stopped then too."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
