"""What quantisation loses and gains, in figures beside those of the float32 graphs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rhapsode.v1.bundle_pb2 import GraphRole, Metric, Vocabulary
from rhapsode_exporter.bundle.export import role_name
from rhapsode_exporter.bundle.goldens import Golden
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime, Tensors
from rhapsode_exporter.bundle.read import StoredBundle
from rhapsode_exporter.data.held_out import HeldOut
from rhapsode_exporter.judge.speed import ROUNDS, cpu_microseconds
from rhapsode_exporter.judge.step_model import StepModel, divergence, nats_per_token

BATCHES = (1, 64)
RANDOM_WINDOWS, RANDOM_LENGTH = 64, 256


def figures(
    stored: StoredBundle,
    folder: Path,
    quantized: Collection[str],
    goldens: Mapping[GraphRole.ValueType, Golden],
    held_out: HeldOut | None,
) -> Iterator[Metric]:
    """Loss and cost of the graphs in `folder` whose files are `quantized`, with what they give for the goldens."""
    vocabulary = stored.manifest.sequence.vocabulary
    for graph, golden in zip(stored.manifest.graphs, stored.goldens, strict=True):
        if graph.file not in quantized:
            continue
        before, after = stored.folder / graph.file, folder / graph.file
        role = role_name(graph.role)
        if graph.role == GraphRole.GRAPH_ROLE_STEP:
            models = StepModel(before, graph, golden), StepModel(after, graph, golden)
            yield from _losses(*models, vocabulary, held_out)
        else:
            yield _loss_on_goldens(role, golden.outputs, goldens[graph.role].outputs)
        yield from _costs(role, (OnnxRuntime(before), OnnxRuntime(after)), golden.inputs)


def _losses(
    reference: StepModel, model: StepModel, vocabulary: Vocabulary, held_out: HeldOut | None
) -> Iterator[Metric]:
    if held_out is None:
        yield _loss_on_random_tokens(reference, model, len(vocabulary.tokens))
    else:
        yield from _losses_on_text(reference, model, vocabulary.start_token, held_out)


def _losses_on_text(reference: StepModel, model: StepModel, start: int, held_out: HeldOut) -> Iterator[Metric]:
    before, after = (nats_per_token(judged, held_out.windows, start) for judged in (reference, model))
    yield Metric(
        name="held_out_nats_per_character",
        value=after,
        baseline=before,
        baseline_name="the float32 model, the same windows",
        description=f"mean negative log-likelihood of a character in {held_out.words}",
    )
    yield Metric(
        name="quantization_loss_nats_per_character",
        value=after - before,
        description="by how much the figure above is worse than the float32 model's",
    )


def _loss_on_random_tokens(reference: StepModel, model: StepModel, size: int) -> Metric:
    tokens = np.random.Generator(np.random.PCG64(0)).integers(0, size, (RANDOM_WINDOWS, RANDOM_LENGTH))
    return Metric(
        name="quantization_divergence_nats",
        value=divergence(reference, model, tokens),
        description="mean Kullback–Leibler divergence of the next token's distribution from the float32 model's, over "
        f"{RANDOM_WINDOWS} sequences of {RANDOM_LENGTH} random tokens",
    )


def _loss_on_goldens(role: str, wanted: Tensors, found: Tensors) -> Metric:
    wanted_numbers, numbers = (_numbers(tensors, [*wanted]) for tensors in (wanted, found))
    return Metric(
        name=f"{role}_quantization_rms",
        value=float(np.sqrt(np.mean((numbers - wanted_numbers) ** 2))),
        description=f"root mean square of the differences between what the {role} graph and the float32 graph give for "
        "the golden inputs",
    )


def _costs(role: str, graphs: tuple[OnnxRuntime, OnnxRuntime], inputs: Tensors) -> Iterator[Metric]:
    for batch in BATCHES:
        before, after = cpu_microseconds(graphs, inputs, batch)
        yield Metric(
            name=f"{role}_batch_{batch}_cpu_us",
            value=after,
            baseline=before,
            baseline_name="the float32 graph, the same rounds",
            description=f"CPU time in µs of a run of the {role} graph at batch {batch}, on one thread of the machine "
            f"that quantised it: median of {ROUNDS} rounds in which it took turns with the float32 graph",
        )


def _numbers(tensors: Tensors, names: Sequence[str]) -> NDArray[np.float64]:
    return np.concatenate([tensors[name].astype(np.float64).ravel() for name in names])
