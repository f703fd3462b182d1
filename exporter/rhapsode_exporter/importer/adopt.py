"""Making one foreign graph into a graph of a bundle: wrapped, run, examined and described."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from rhapsode.v1.bundle_pb2 import Bundle, Graph
from rhapsode_exporter.bundle.export import tensor_spec
from rhapsode_exporter.bundle.goldens import Golden
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime, Tensors
from rhapsode_exporter.errors import GraphFailedError
from rhapsode_exporter.importer.contract import DECODE, STEP
from rhapsode_exporter.importer.examine import differences, examine
from rhapsode_exporter.importer.golden_inputs import latents, pictures, plain, recital
from rhapsode_exporter.importer.observe import observe
from rhapsode_exporter.importer.onnx_file import brief
from rhapsode_exporter.importer.opset import modern, opset_of
from rhapsode_exporter.importer.outputs import output_ports
from rhapsode_exporter.importer.plan import Plan
from rhapsode_exporter.importer.problems import Problem
from rhapsode_exporter.importer.sense import sense_problems
from rhapsode_exporter.importer.surgery import Port, drop, wrap


@dataclass(frozen=True, slots=True)
class Adopted:
    """A graph that a bundle may hold: its declaration, its bytes, its goldens, and what was done to it, in words."""

    graph: Graph
    content: bytes
    golden: Golden
    batch_invariant: bool
    changes: tuple[str, ...]


def adopt(plan: Plan, manifest: Bundle, drawn: NDArray[np.generic] | None, problems: list[Problem]) -> Adopted | None:
    """The graph of a plan; None, with the reasons among `problems`, where running it shows what is wrong.

    `drawn` are pictures that the bundle's decoder made, [33, C, H, W]: an encoder or critic is tried with them. The
    plan's model is used up.
    """
    try:
        return _adopt(plan, manifest, drawn, problems)
    except GraphFailedError as error:
        reason = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", brief(error))
        problems.append(Problem(plan.description.file, f"ONNX Runtime cannot run it: {reason}", "V2"))
        return None


def _adopt(plan: Plan, manifest: Bundle, drawn: NDArray[np.generic] | None, problems: list[Problem]) -> Adopted | None:
    description, old = plan.description, plan.graph.model
    outputs = _wrap(plan, problems)
    model = modern(old, description.file, problems) if outputs else None
    if model is None or not _valid(model, description.file, problems):
        return None
    inputs = _golden_inputs(plan, OnnxRuntime(model.SerializeToString()), manifest, drawn)
    found = examine(description.file, description.where, model.SerializeToString(), inputs, description.tolerance)
    wrong = [*found.problems, *sense_problems(description.file, found.outputs, manifest)]
    if model is not old and not wrong:
        wrong.extend(_conversion_problems(plan, inputs, found.outputs))
    problems.extend(wrong)
    if wrong:
        return None
    return Adopted(
        _declare(plan, model),
        model.SerializeToString(),
        Golden(description.role, inputs, found.outputs),
        found.batch_invariant,
        tuple(_changes(plan, outputs, model)),
    )


def _wrap(plan: Plan, problems: list[Problem]) -> tuple[Port, ...]:
    """Put the plan's tensors around its model, and give the outputs; none of them where `problems` says why not."""
    model = plan.graph.model
    drop(model, plan.description.drop)
    graph = OnnxRuntime(model.SerializeToString())
    observed = observe(graph, plan.inputs, lambda rows: plain(plan.inputs, plan.states, rows))
    ports = output_ports(plan, observed, problems)
    if ports:
        wrap(model, plan.inputs, ports)
    return ports


def _valid(model: ModelProto, file: str, problems: list[Problem]) -> bool:
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        problems.append(Problem(file, f"cannot be made a valid graph of a bundle: {brief(error)}", "G1"))
        return False
    return True


def _golden_inputs(plan: Plan, graph: OnnxRuntime, manifest: Bundle, drawn: NDArray[np.generic] | None) -> Tensors:
    if plan.description.role == STEP:
        return recital(graph, plan.inputs, plan.states, manifest)
    if plan.description.role == DECODE:
        return latents(manifest)
    return {"image": pictures(manifest) if drawn is None else drawn}


def _conversion_problems(plan: Plan, inputs: Tensors, outputs: Tensors) -> Iterator[Problem]:
    """Whether the graph does after the conversion what it did before."""
    before = OnnxRuntime(plan.graph.model.SerializeToString()).run(inputs)
    mend = "Export it again with a newer opset"
    how = "changes when its opset is converted"
    yield from differences(plan.description.file, how, before, outputs, plan.description.tolerance, ("G1", mend))


def _declare(plan: Plan, model: ModelProto) -> Graph:
    return Graph(
        role=plan.description.role,
        file=plan.description.target,
        inputs=map(tensor_spec, model.graph.input),
        outputs=map(tensor_spec, model.graph.output),
        states=plan.states,
        tolerance=plan.description.tolerance,
    )


def _changes(plan: Plan, outputs: tuple[Port, ...], model: ModelProto) -> Iterator[str]:
    """What was done to the graph, for people."""
    for port in (*plan.inputs, *outputs):
        if port.steps or port.name != port.foreign:
            steps = ", ".join(map(str, port.steps))
            called = f" (there {port.foreign})" if port.name != port.foreign else ""
            yield f"{port.name}{called}: {steps or 'renamed'}"
    if plan.description.drop:
        yield f"left out: {', '.join(sorted(plan.description.drop))}"
    if opset_of(plan.graph.model) != opset_of(model):
        yield f"opset {opset_of(plan.graph.model)} converted to {opset_of(model)}"
    yield from plan.graph.changes
