"""A process and all that it has started, as one."""

import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cost import cpu_seconds

# The field of /proc/<pid>/stat after the program's name, which may itself hold spaces (proc(5)).
_PARENT = 1


def family(process_id: int) -> tuple[int, ...]:
    """The ids of a process and of all its descendants that are alive."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for child, parent in _parents():
        children[parent].append(child)
    found = [process_id]
    for one in found:
        found += children[one]
    return tuple(found)


def family_cpu_seconds(process_id: int) -> float:
    """CPU seconds that a process and its descendants have spent, those of the ended ones left out."""
    return sum(cpu_seconds(one) for one in family(process_id))


def end(process_ids: tuple[int, ...]) -> None:
    """Kill what is left of some processes."""
    for one in process_ids:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            yield int(folder.name), int(fields[_PARENT])
