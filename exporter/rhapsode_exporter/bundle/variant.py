"""A bundle's quantised variant, written as a bundle of its own."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from rhapsode.v1.bundle_pb2 import Bundle, Graph
from rhapsode_exporter.bundle.card import FILE as CARD
from rhapsode_exporter.bundle.card import render_card
from rhapsode_exporter.bundle.company import batch_invariant
from rhapsode_exporter.bundle.draft import DEFAULT_TOLERANCE
from rhapsode_exporter.bundle.goldens import Golden, write_goldens
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime
from rhapsode_exporter.bundle.onnx_runtime import version as onnx_runtime_version
from rhapsode_exporter.bundle.preview import previews
from rhapsode_exporter.bundle.quantize import EXACT_INPUTS, SCHEMES, Precision, has_products, quantize
from rhapsode_exporter.bundle.read import StoredBundle
from rhapsode_exporter.bundle.whole import NAME, seal, whole
from rhapsode_exporter.bundle.write import bundle_folder, refuse_existing
from rhapsode_exporter.data.held_out import HeldOut
from rhapsode_exporter.errors import QuantizationRefusedError
from rhapsode_exporter.judge.quantization import figures

# A server may round a row's inputs otherwise than this processor did, or (on a GPU) not at all: goldens are allowed
# this many times the distance that rounding itself makes.
ALLOWANCE = 2.0


@dataclass(frozen=True, slots=True)
class Variant:
    """What was written. `batch_invariant`: whether a row had the same bits in every golden batch, on this processor."""

    folder: Path
    manifest: Bundle
    batch_invariant: bool


def variant_folder(out: Path, name: str, version: int, precision: Precision) -> Path:
    """Where a bundle's variant lies: `out`/NAME-int8/VERSION; QuantizationRefusedError where that is no name."""
    wanted = f"{name}-{precision}"
    if not NAME.fullmatch(wanted):
        raise QuantizationRefusedError(f"{wanted!r} cannot name a bundle; a name must match {NAME.pattern}")
    return bundle_folder(out, wanted, version)


def write_variant(
    stored: StoredBundle, precision: Precision, out: Path, held_out: HeldOut | None, *, overwrite: bool = False
) -> Variant:
    """Quantise the graphs that have stored weights, measure what it costs and gains, and write the variant whole.

    Raises QuantizationRefusedError where no graph has such weights or one does not bear it, BundleExistsError where
    the variant is there already; then nothing is written.
    """
    folder = variant_folder(out, stored.manifest.name, stored.manifest.version, precision)
    refuse_existing(folder, overwrite)
    models = _models_to_quantize(stored)
    manifest = _describe(stored.manifest, folder.parent.name, precision)
    goldens = {golden.role: golden for golden in stored.goldens}
    with whole(folder) as part:
        for file in stored.manifest.files:
            shutil.copyfile(stored.folder / file.path, part / file.path)
        for graph in manifest.graphs:
            if graph.file in models:
                goldens[graph.role] = _convert(models[graph.file], precision, graph, goldens[graph.role], part)
        write_goldens([*goldens.values()], part)
        manifest.metrics.extend(figures(stored, part, models, goldens, held_out))
        for preview in previews(manifest, part, goldens):
            (part / preview.filename).write_bytes(preview.content)
        (part / CARD).write_text(render_card(manifest), encoding="utf-8")
        alike = all(batch_invariant(OnnxRuntime(part / g.file), goldens[g.role].inputs) for g in manifest.graphs)
        seal(manifest, part)
    return Variant(folder, manifest, alike)


def _models_to_quantize(stored: StoredBundle) -> Mapping[str, ModelProto]:
    """By file name."""
    files = [graph.file for graph in stored.manifest.graphs]
    models = {file: onnx.load(stored.folder / file, load_external_data=False) for file in files}
    found = {file: model for file, model in models.items() if has_products(model)}
    if not found:
        raise QuantizationRefusedError(
            f"{stored.folder} has nothing to quantise: no graph of it has a MatMul, or a Gemm without factors, "
            "by a stored float32 matrix"
        )
    return found


def _describe(source: Bundle, name: str, precision: Precision) -> Bundle:
    """The manifest without files and figures."""
    scheme = SCHEMES[precision]
    manifest = Bundle()
    manifest.CopyFrom(source)
    manifest.name = name
    manifest.description = (
        f"{source.description} The weights of its matrix products are quantised to {scheme.bits} bits, so its bytes "
        "may differ between processor families."
    )
    manifest.training.settings["quantization"] = (
        f"MatMulNBits of {scheme.bits} bits in blocks of {scheme.block}, accuracy level 4, made from "
        f"{source.name} version {source.version}"
    )
    manifest.training.software["onnxruntime"] = onnx_runtime_version()
    manifest.ClearField("files")
    manifest.ClearField("metrics")
    for attribute in manifest.attributes:
        attribute.ClearField("metrics")
    return manifest


def _convert(model: ModelProto, precision: Precision, graph: Graph, golden: Golden, part: Path) -> Golden:
    """Write the quantised graph and give its goldens; the graph's declaration gets the tolerance that they need."""
    made, exact = quantize(model, SCHEMES[precision]), quantize(model, SCHEMES[precision], EXACT_INPUTS)
    (part / graph.file).write_bytes(made.SerializeToString())
    found = OnnxRuntime(part / graph.file).run(golden.inputs)
    if not all(np.isfinite(values).all() for values in found.values()):
        raise QuantizationRefusedError(f"{graph.file} gives numbers that are not finite once it is quantised")
    unrounded = OnnxRuntime(exact.SerializeToString()).run(golden.inputs)
    apart = max(_distance(values, unrounded[name]) for name, values in found.items())
    usual = graph.tolerance if graph.HasField("tolerance") else DEFAULT_TOLERANCE
    graph.tolerance = max(usual, float(f"{ALLOWANCE * apart:.2g}"))
    return Golden(graph.role, golden.inputs, found)


def _distance(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())
