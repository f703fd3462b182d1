"""A gRPC server whose handler does nothing: what an rpc of this kind and reply size costs at the least in Python."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import uvloop
from benchmarks.cases import DIGITS
from deploy.local_server import LocalServer

from rhapsode.v1 import image_pb2

_SIDE = 28
_PICTURE = image_pb2.Image(
    format=image_pb2.IMAGE_FORMAT_RAW_FLOAT32, width=_SIDE, height=_SIDE, channels=1, data=bytes(4 * _SIDE * _SIDE)
)
_STARTED = image_pb2.ImagesStarted(model=DIGITS, version=1, fingerprint=64 * "0", seed=1_000, count=1)
_REPLY = image_pb2.GenerateImagesResponse(started=_STARTED, images=[_PICTURE])


@contextmanager
def running_empty_server() -> Iterator[LocalServer]:
    """The server in a process of its own, on a free port of 127.0.0.1; ended on leaving."""
    command = [sys.executable, "-m", "benchmarks.empty"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield LocalServer(process.pid, process.stdout.readline().strip(), "", 0.0)
        finally:
            process.send_signal(signal.SIGTERM)


async def _generate(
    _request: image_pb2.GenerateImagesRequest, _context: "grpc.aio.ServicerContext[object, object]"
) -> image_pb2.GenerateImagesResponse:
    return _REPLY


async def _serve() -> None:
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        _generate,
        image_pb2.GenerateImagesRequest.FromString,
        image_pb2.GenerateImagesResponse.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler("rhapsode.v1.ImageService", {"GenerateImages": handler})
    server.add_generic_rpc_handlers([service])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(_serve())
