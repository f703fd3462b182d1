"""A rival's client in a process of its own: reads loads from standard input, sends them and answers what they took."""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
import uvloop
from benchmarks.rivals.load import READY, Load, Taken
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as wire  # type: ignore[import-untyped]

_READY_SECONDS = 120.0
_POLL_SECONDS = 0.1
_DEADLINE_SECONDS = 300.0
_SERVICE = "/inference.GRPCInferenceService"
_TOKEN_BYTES = 8


class Client:
    """Speaks the Open Inference Protocol over one connection; `wrapped` where stream messages are Triton's."""

    def __init__(self, channel: "grpc.aio.Channel", wrapped: bool) -> None:
        self._wrapped = wrapped
        stream_reply = wire.ModelStreamInferResponse if wrapped else wire.ModelInferResponse
        to_bytes = wire.ModelInferRequest.SerializeToString
        self._stream: Any = channel.stream_stream(f"{_SERVICE}/ModelStreamInfer", to_bytes, stream_reply.FromString)
        self._unary: Any = channel.unary_unary(f"{_SERVICE}/ModelInfer", to_bytes, wire.ModelInferResponse.FromString)
        self._ready: Any = channel.unary_unary(
            f"{_SERVICE}/ModelReady", wire.ModelReadyRequest.SerializeToString, wire.ModelReadyResponse.FromString
        )

    async def wait_for(self, model: str) -> None:
        """Return as soon as a model can be asked."""
        while True:
            try:
                reply = await self._ready(wire.ModelReadyRequest(name=model), timeout=_DEADLINE_SECONDS)
            except grpc.aio.AioRpcError:
                reply = wire.ModelReadyResponse()
            if reply.ready:
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def run(self, load: Load) -> Taken:
        """Send all requests of a load and read their answers."""
        send, make = (self._text, text_request) if load.kind == "text" else (self._images, images_request)
        groups = [
            [make(load, load.seed + repeat, number) for number in range(load.requests)]
            for repeat in range(load.repeats)
        ]
        wall, cpu = time.perf_counter(), time.process_time()
        taken: list[tuple[float, float]] = []
        for group in groups:
            taken += await asyncio.gather(*(send(load, request) for request in group))
        spent = time.perf_counter() - wall, time.process_time() - cpu
        return Taken(*spent, tuple(first for first, _ in taken), tuple(end for _, end in taken))

    async def _text(self, load: Load, request: "wire.ModelInferRequest") -> tuple[float, float]:
        begun, first, tokens = time.perf_counter(), 0.0, 0
        call = self._stream(timeout=_DEADLINE_SECONDS)
        await call.write(request)
        await call.done_writing()
        async for reply in call:
            answer = self._unwrap(reply)
            first = first or time.perf_counter() - begun
            tokens += len(answer.raw_output_contents[0]) // _TOKEN_BYTES
        return _complete(load, tokens, first, time.perf_counter() - begun)

    async def _images(self, load: Load, request: "wire.ModelInferRequest") -> tuple[float, float]:
        begun = time.perf_counter()
        reply = await self._unary(request, timeout=_DEADLINE_SECONDS)
        took = time.perf_counter() - begun
        return _complete(load, reply.outputs[0].shape[0], took, took)

    def _unwrap(self, reply: "wire.ModelStreamInferResponse") -> "wire.ModelInferResponse":
        if not self._wrapped:
            return reply
        if reply.error_message:
            raise RuntimeError(reply.error_message)
        return reply.infer_response


def text_request(load: Load, seed: int, number: int) -> "wire.ModelInferRequest":
    """The request for one text."""
    values = {"seed": seed + number, "max_tokens": load.items, "tokens_a_message": load.tokens_a_message}
    return _request(load.model, "INT64", {name: np.array([[value]], np.int64) for name, value in values.items()})


def images_request(load: Load, seed: int, number: int) -> "wire.ModelInferRequest":
    """The request for pictures of random latents."""
    rng = np.random.default_rng([seed, number])
    return _request(load.model, "FP32", {"latent": rng.standard_normal((load.items, load.latent_size), np.float32)})


async def drive(address: str, wrapped: bool, models: list[str]) -> None:
    """Say that all models are ready, then run a load for each line of standard input until it ends."""
    loop = asyncio.get_running_loop()
    async with grpc.aio.insecure_channel(address) as channel:
        client = Client(channel, wrapped)
        async with asyncio.timeout(_READY_SECONDS):
            await channel.channel_ready()
            for model in models:
                await client.wait_for(model)
        print(READY, flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print((await client.run(Load.read(line))).line(), flush=True)


def _request(model: str, datatype: str, tensors: Mapping[str, NDArray[Any]]) -> "wire.ModelInferRequest":
    return wire.ModelInferRequest(
        model_name=model,
        inputs=[
            wire.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=values.shape)
            for name, values in tensors.items()
        ],
        raw_input_contents=[values.tobytes() for values in tensors.values()],
    )


def _complete(load: Load, items: int, first: float, end: float) -> tuple[float, float]:
    if items != load.items:
        raise RuntimeError(f"{load.model}: a request gave {items} of {load.items} items")
    return first, end


def main() -> None:
    """Read the command line and drive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--wrapped", action="store_true")
    parser.add_argument("models", nargs="+")
    uvloop.run(drive(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
