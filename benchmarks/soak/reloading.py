"""Loads the models of a server anew, one after another, in a thread, for as long as a block lasts."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from rhapsode.v1.model_pb2 import LoadModelRequest
from rhapsode.v1.model_pb2_grpc import ModelServiceStub

_PATIENCE = 120.0  # seconds that a load may take


@dataclass(slots=True)
class Reloads:
    """What came of it so far."""

    done: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def reloading(admin_address: str, models: Sequence[str], interval: float) -> Iterator[Reloads]:
    """Load the next model every so many seconds; none where that is 0."""
    reloads, over = Reloads(), threading.Event()

    def reload() -> None:
        with grpc.insecure_channel(admin_address) as channel:
            control = ModelServiceStub(channel)
            for model in itertools.cycle(models):
                if over.wait(interval):
                    return
                try:
                    control.LoadModel(LoadModelRequest(model=model), timeout=_PATIENCE)
                    reloads.done += 1
                except grpc.RpcError as error:
                    reloads.failures.append(f"{model}: {error}")

    thread = threading.Thread(target=reload, daemon=True)
    if interval:
        thread.start()
    try:
        yield reloads
    finally:
        over.set()
        if interval:
            thread.join()
