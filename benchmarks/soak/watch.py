"""Looks at a server every few seconds, in a thread, for as long as a block lasts."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil
from benchmarks.vitals import Patient, Vitals


@dataclass(frozen=True, slots=True)
class Look:
    """What a server held at a moment, in seconds since the first look."""

    at: float
    vitals: Vitals


@contextmanager
def watching(patient: Patient, interval: float) -> Iterator[list[Look]]:
    """The looks so far; the list grows."""
    looks: list[Look] = []
    over = threading.Event()
    began = time.monotonic()

    def watch() -> None:
        while True:
            with suppress(OSError, psutil.Error):  # a look that cannot be had is none
                looks.append(Look(time.monotonic() - began, patient.look()))
            if over.wait(interval):
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield looks
    finally:
        over.set()
        thread.join()
