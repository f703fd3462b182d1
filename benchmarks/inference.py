"""The Open Inference Protocol beside our own: server CPU for a picture of a latent, in turns on one server."""

import argparse
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import uvloop
from benchmarks.abuse.results import replace_table
from benchmarks.cases import Case, Measurement
from benchmarks.cost import processor
from benchmarks.report import Sheet
from benchmarks.requests import Taken
from benchmarks.served import EVERYBODY, Send, measure
from benchmarks.spread import spread
from deploy.local_server import LocalServer, running_server
from numpy.typing import NDArray

from rhapsode.oip import inference_pb2
from rhapsode.oip.inference_pb2_grpc import GRPCInferenceServiceStub
from rhapsode.v1 import image_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub

LIMIT = 1.2
TYPED = Case("GenerateImages", "images", "faces-vae", requests=64, items=1, repeats=10)
INFER = Case("ModelInfer", "images", "faces-vae.decode", requests=64, items=1, repeats=10)
LATENT, CHANNELS = 64, 3  # numbers of a latent and of a pixel
SETTINGS = ("--provider=cpu", "--threads=1", *EVERYBODY)
_MORE_SEED = 10_000


@dataclass(frozen=True, slots=True)
class Round:
    """Both ways, close to each other in time."""

    typed: Measurement
    infer: Measurement

    @property
    def ratio(self) -> float:
        """Server CPU of ModelInfer over that of our own rpc."""
        return self.infer.cpu_per_item / self.typed.cpu_per_item


async def take(server: LocalServer, number: int) -> Round:
    """Both ways once, in another order each time."""
    ways: tuple[tuple[Case, Send], ...] = ((TYPED, send_typed), (INFER, send_infer))
    taken: dict[Case, Measurement] = {}
    for case, send in ways if number % 2 else reversed(ways):
        taken[case] = await measure(server, case, "served", (number + 1) * _MORE_SEED, send)
    return Round(taken[TYPED], taken[INFER])


async def measure_rounds(server: LocalServer, rounds: int) -> Sequence[Round]:
    """All rounds; the one before the first warms up and is thrown away."""
    await agree(server)
    return [await take(server, number) for number in range(rounds + 1)][1:]


async def agree(server: LocalServer) -> None:
    """Make sure that both ways give the same picture. Raises ValueError."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        ours = await ImageServiceStub(channel).GenerateImages(typed(TYPED, 1, 1))
        theirs = await GRPCInferenceServiceStub(channel).ModelInfer(infer(INFER, 1, 1))
    picture = np.frombuffer(ours.images[0].data, np.float32).reshape(-1, CHANNELS)
    if picture.T.tobytes() != theirs.raw_output_contents[0]:  # the protocol gives tensors as the graph has them
        raise ValueError("the two protocols give different pictures of one latent")


async def send_typed(channel: "grpc.aio.Channel", case: Case, seed: int, number: int) -> Taken:
    """Ask our own service, and wait for the picture."""
    return await _taken(ImageServiceStub(channel).GenerateImages(typed(case, seed, number)))


async def send_infer(channel: "grpc.aio.Channel", case: Case, seed: int, number: int) -> Taken:
    """Ask by the Open Inference Protocol, and wait for the picture."""
    return await _taken(GRPCInferenceServiceStub(channel).ModelInfer(infer(case, seed, number)))


def typed(case: Case, seed: int, number: int) -> image_pb2.GenerateImagesRequest:
    """The request for the picture of a latent."""
    latents = image_pb2.Latents(latents=[image_pb2.Latent(values=_latent(seed, number).tolist())])
    form = image_pb2.IMAGE_FORMAT_RAW_FLOAT32
    generation = image_pb2.ImageGeneration(model=case.model, latents=latents, format=form)
    return image_pb2.GenerateImagesRequest(generation=generation)


def infer(case: Case, seed: int, number: int) -> inference_pb2.ModelInferRequest:
    """The same in the words of the protocol."""
    latent = _latent(seed, number)
    tensor = inference_pb2.ModelInferRequest.InferInputTensor(name="latent", datatype="FP32", shape=(1, LATENT))
    return inference_pb2.ModelInferRequest(
        model_name=case.model, inputs=[tensor], raw_input_contents=[latent.tobytes()]
    )


def _latent(seed: int, number: int) -> NDArray[np.float32]:
    return np.random.default_rng((seed, number)).standard_normal(LATENT, np.float32)


async def _taken(call: Awaitable[object]) -> Taken:
    begun = time.perf_counter()
    await call
    took = time.perf_counter() - begun
    return Taken(took, took)


def sheet(rounds: Sequence[Round], title: str) -> Sheet:
    """Lines for both ways, and the verdict."""
    ratio = spread([each.ratio for each in rounds])
    verdict = "met" if ratio.middle <= LIMIT else "MISSED"
    lines = [
        (
            case.name,
            str(spread([one.cpu_per_item * 1e6 for one in ways])),
            str(spread([_rate(one) for one in ways])),
            "",
        )
        for case, ways in ((TYPED, [each.typed for each in rounds]), (INFER, [each.infer for each in rounds]))
    ]
    lines.append(("ModelInfer / GenerateImages", str(ratio), "", f"at most {LIMIT:g}: {verdict}"))
    return Sheet(title, ("64 clients x 1 picture", "server CPU µs/picture", "pictures/s", "target"), tuple(lines))


def _rate(one: Measurement) -> float:
    return one.items / one.wall_seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print the table as Markdown."""
    parser = argparse.ArgumentParser(description="Measures what the Open Inference Protocol costs beside our own.")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles (default: models)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the server's log (default: out)")
    parser.add_argument("--write", type=Path, help="page to put the table into, between its two comments")
    parser.add_argument("--rounds", type=int, default=15, help="rounds that count (default: 15)")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    with running_server(options.models, options.out / "bench-inference.log", *SETTINGS) as server:
        rounds = uvloop.run(measure_rounds(server, options.rounds))
    table = sheet(rounds, f"{options.rounds} rounds, {processor()}: median (quartiles)").markdown()
    print(table)
    if options.write is not None:
        replace_table(options.write, table, "inference")


if __name__ == "__main__":
    main()
