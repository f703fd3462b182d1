"""Bundles that are alike but for their weights: made once, then put where a server looks, as any of their versions."""

import shutil
from pathlib import Path

import numpy as np
import onnx
from benchmarks.bundles import newest
from google.protobuf import json_format
from onnx import TensorProto, numpy_helper

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_exporter.bundle.goldens import Golden, write_goldens
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime
from rhapsode_exporter.bundle.read import read_bundle
from rhapsode_exporter.bundle.whole import MANIFEST, seal, whole

SHIPPED = "A"
LETTERS = (SHIPPED, "B", "C")
"""Contents that a model may have: its own weights, and two others."""
_SHARE = 0.05  # of a weight, by which another one differs from it: one deviation


class Shelf:
    """The contents of some models, in a folder of their own, and the folder that a server loads from."""

    def __init__(self, contents: Path, models: Path) -> None:
        self._contents = contents
        self.models = models

    def make(self, shipped: Path, name: str) -> None:
        """Write all contents of a shipped model."""
        source = newest(shipped, name)
        for number, letter in enumerate(LETTERS):
            write_changed(source, self._contents / name / letter, seed=number)

    def put(self, name: str, letter: str, version: int) -> None:
        """Have a version be of this content, from one moment to the next."""
        with whole(self.models / name / str(version)) as part:
            shutil.copytree(self._contents / name / letter, part, dirs_exist_ok=True)
            manifest = json_format.Parse((part / MANIFEST).read_text(encoding="utf-8"), Bundle())
            manifest.version = version
            text = json_format.MessageToJson(manifest, preserving_proto_field_name=True, indent=2, ensure_ascii=False)
            (part / MANIFEST).write_text(text, encoding="utf-8")

    def spoil(self, name: str, version: int) -> None:
        """Have a version lie: a graph is no longer what its hash says."""
        folder = self.models / name / str(version)
        file = next(folder.glob("*.onnx"))
        file.write_bytes(file.read_bytes() + b"\0")


def write_changed(source: Path, folder: Path, seed: int) -> None:
    """Write a bundle with other weights, and the goldens that are true of them; with the same for 0."""
    stored, manifest, goldens = read_bundle(source), Bundle(), []
    manifest.CopyFrom(stored.manifest)
    manifest.ClearField("files")
    with whole(folder) as part:
        for file in stored.manifest.files:
            shutil.copyfile(source / file.path, part / file.path)
        for graph, golden in zip(manifest.graphs, stored.goldens, strict=True):
            if seed:
                _change(part / graph.file, seed)
            outputs = OnnxRuntime(part / graph.file).run(golden.inputs)
            goldens.append(Golden(golden.role, golden.inputs, outputs))
        write_goldens(goldens, part)
        seal(manifest, part)


def _change(path: Path, seed: int) -> None:
    """Change every matrix of a graph a little."""
    model, dice = onnx.load(path, load_external_data=False), np.random.default_rng(seed)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            values = numpy_helper.to_array(tensor)
            noise = dice.normal(1.0, _SHARE, values.shape).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values * noise, tensor.name))
    path.write_bytes(model.SerializeToString())
