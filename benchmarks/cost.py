"""What processes cost, from the kernel's own account: CPU time, memory, and the processes that they started."""

import os
import re
import time
from pathlib import Path

# Linux: the CPU clock of a whole process, made of its id as clock_getcpuclockid(3) does (MAKE_PROCESS_CPUCLOCK).
_SCHEDULER_CLOCK = 2


def cpu_seconds(process_id: int) -> float:
    """User and system seconds that a process has spent so far, all threads together, to the nanosecond."""
    return time.clock_gettime((~process_id << 3) | _SCHEDULER_CLOCK)


def resident_bytes(process_id: int) -> int:
    """Bytes of memory that a process has in RAM, shared libraries counted."""
    status = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8")
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def children(process_id: int) -> list[int]:
    """The processes that the first thread of a process has started."""
    started = Path(f"/proc/{process_id}/task/{process_id}/children").read_text(encoding="ascii")
    return [int(word) for word in started.split()]


def processor() -> str:
    """The processor's name and how many of its cores this process may use."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else 'unknown processor'}, {len(os.sched_getaffinity(0))} cores"
