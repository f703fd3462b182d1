"""What hangs is noticed: health says so, its requests end, others get their grace, and the process ends with 3."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from rhapsode_server.engine.attempt import Run
from rhapsode_server.serve.fate import DEVICE_LOST
from rhapsode_server.serve.watchdog import HUNG, LOOK, Standstill, Watchdog
from support import bundles
from support.requests import ENDLESS, images, text
from support.server import Process, process

PATIENCE = 60.0
CURSED = 666
# Breaks the decoder for requests with one seed: what a driver's fault or a dying GPU would do.
CURSE = f"""
import sys, threading
from rhapsode_server import main
from rhapsode_server.errors import DeviceLost
from rhapsode_server.models.decoder import Decoder
from rhapsode_server.rpc.models import ModelService
sound = Decoder.advance

def advance(self, rows):
    if any(getattr(row.source, "seed", 0) == {CURSED} for row in rows):
        {{fault}}
    return sound(self, rows)

async def stand_still(self, request, call):
    threading.Event().wait()

Decoder.advance, ModelService.ListModels = advance, stand_still
main.main()
"""
HANGS = CURSE.format(fault="threading.Event().wait()")
DIES = CURSE.format(fault="return []")  # a fault that is none of a run's
LOSES_ITS_DEVICE = CURSE.format(fault="raise DeviceLost('the device is lost: CUDA failure 700')")


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two-models")
    bundles.stepper().write(folder)
    bundles.grey_generator().write(folder)
    return folder


def cursed(count: int = 1) -> image_pb2.GenerateImagesRequest:
    return image_pb2.GenerateImagesRequest(generation=images(count, model="tiny-digits", seed=CURSED))


def reason_of(error: grpc.RpcError) -> str:
    """What the ErrorInfo of a failed call says."""
    call: Any = error
    status = status_pb2.Status.FromString(dict(call.trailing_metadata())["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


def endless_text(channel: grpc.Channel) -> Iterator[text_pb2.StreamTextResponse]:
    """A stream of another model, which has begun."""
    stream = TextServiceStub(channel).StreamText(text_pb2.StreamTextRequest(generation=text(ENDLESS)))
    next(stream)
    return stream


def health(channel: grpc.Channel, service: str) -> list[int]:
    """All that a watch tells of a service until it ends."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return [one.status for one in stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)]


def doomed(server: Process, channel: grpc.Channel) -> tuple[set[str], list[list[int]], int]:
    """Ask twice for what is cursed while others are served: both reasons, what health told, how many more came."""
    with ThreadPoolExecutor(8) as threads:
        told = [threads.submit(health, channel, service) for service in ("liveness", "readiness")]
        stream = endless_text(channel)
        stub = ImageServiceStub(channel)
        asked = [threads.submit(stub.GenerateImages, cursed(), timeout=PATIENCE) for _ in range(2)]
        errors = [one.exception(PATIENCE) for one in asked]
        rest: list[text_pb2.StreamTextResponse] = []
        with pytest.raises(grpc.RpcError) as caught:  # it goes on until its grace is over
            rest.extend(stream)
        assert reason_of(caught.value) == "SHUTTING_DOWN"
        assert all(isinstance(error, grpc.RpcError) for error in errors)
        assert {error.code() for error in errors} == {grpc.StatusCode.UNAVAILABLE}  # type: ignore[union-attr]
        reasons = {reason_of(error) for error in errors if isinstance(error, grpc.RpcError)}
        return reasons, [one.result(PATIENCE) for one in told], len(rest)


FLAGS = ("--max-tokens", str(ENDLESS), "--grace", "1", "--drain-delay", "0.5")
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def test_a_run_that_hangs_ends_the_server_in_order(two_models: Path) -> None:
    with process(two_models, *FLAGS, "--run-timeout", "1", program=("-c", HANGS)) as server:
        with grpc.insecure_channel(server.address) as channel:
            reasons, told, more = doomed(server, channel)
        assert reasons == {"MODEL_UNHEALTHY"}
        assert told == [[SERVING, NOT_SERVING]] * 2
        assert more > 0
        assert server.process.wait(PATIENCE) == HUNG
        lines = server.rest()
    assert [line["lane"] for line in lines if line["msg"] == "run hangs"] == ["tiny-digits@1/decode"]
    assert [line for line in lines if line["msg"] == "stopped"]


def test_what_ends_a_drivers_thread_ends_the_server_in_order(two_models: Path) -> None:
    with process(two_models, *FLAGS, program=("-c", DIES)) as server:
        with grpc.insecure_channel(server.address) as channel:
            reasons, told, more = doomed(server, channel)
        assert reasons == {"MODEL_UNHEALTHY"}
        assert told == [[SERVING, NOT_SERVING]] * 2
        assert more > 0
        assert server.process.wait(PATIENCE) == HUNG
        lines = server.rest()
    died = next(line for line in lines if line["msg"] == "driver died")
    assert died["lane"] == "tiny-digits@1/decode"
    assert "Traceback" in died["exception"]
    assert [line for line in lines if line["msg"] == "stopped"]


def test_a_lost_device_ends_the_server_in_order(two_models: Path) -> None:
    with process(two_models, *FLAGS, program=("-c", LOSES_ITS_DEVICE)) as server:
        with grpc.insecure_channel(server.address) as channel:
            call: Any = ImageServiceStub(channel).GenerateImages
            stream = endless_text(channel)
            with pytest.raises(grpc.RpcError) as caught:
                call(cursed(), timeout=PATIENCE)
            assert reason_of(caught.value) == "DEVICE_LOST"
            with pytest.raises(grpc.RpcError) as others:
                list(stream)
            assert reason_of(others.value) == "DEVICE_LOST"
        assert server.process.wait(PATIENCE) == DEVICE_LOST


def test_an_event_loop_that_stands_still_ends_the_process(two_models: Path) -> None:
    with process(two_models, "--run-timeout", "1", program=("-c", HANGS)) as server:
        with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError):
            ModelServiceStub(channel).ListModels(model_pb2.ListModelsRequest(), timeout=PATIENCE)
        assert server.process.wait(PATIENCE) == HUNG
        said = server.child.rest()
    assert "in stand_still" in said  # the stacks of all threads
    assert '"event loop stands still"' in said
    assert "the event loop stands still" in said


def test_only_time_in_which_somebody_looked_counts() -> None:
    standstill = Standstill()
    assert standstill.look("a", 100) == 0
    assert standstill.look("a", 101) == 1
    assert standstill.look("a", 1000) == 1 + LOOK  # stopped, or starved, in between
    assert standstill.look("b", 1001) == 0
    assert standstill.look("b", 1001.5) == 0.5
    assert standstill.look(None, 1002) == 0
    assert standstill.look(None, 1003) == 0
    assert standstill.look("b", 1004) == 0


class Lane:
    """A driver as the watchdog sees it."""

    def __init__(self, run: Run | None) -> None:
        self.run = run


def test_each_driver_that_hangs_is_told_of_once() -> None:
    lanes = [Lane(Run(7, 1)), Lane(None), Lane(Run(3, 2))]
    told: list[tuple[Lane, Run]] = []
    log: Any = None
    dog = Watchdog(lambda: lanes, lambda *what: told.append(what), 5, 60, log, lambda do, *what: do(*what))
    for now in range(10):
        dog._look_at_runs(now)
        lanes[2].run = Run(now, 2)  # goes on
    assert told == [(lanes[0], Run(7, 1))]
    for now in range(10, 20):  # now it hangs too, while the server still drains
        dog._look_at_runs(now)
    assert told == [(lanes[0], Run(7, 1)), (lanes[2], Run(9, 2))]
