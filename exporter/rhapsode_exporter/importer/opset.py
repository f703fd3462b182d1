"""Bringing a graph of an old operator set to one that every part of the server knows."""

from onnx import ModelProto
from onnx.version_converter import convert_version

from rhapsode_exporter.importer.onnx_file import brief
from rhapsode_exporter.importer.problems import Problem

OLDEST = 18  # of a bundle that was imported
OLDEST_RUN = 7  # by ONNX Runtime: what it cannot run cannot be compared with its conversion


def opset_of(model: ModelProto) -> int:
    """The version of the standard operators that a model uses; 0 where it says none."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def modern(model: ModelProto, file: str, problems: list[Problem]) -> ModelProto | None:
    """The model with operators of version 18 or newer; None, with the reason among `problems`, where it cannot be."""
    if opset_of(model) >= OLDEST:
        return model
    try:
        return convert_version(model, OLDEST)
    except Exception as error:  # the converter is C++ and says what it likes
        text = f"has opset {opset_of(model)}, which cannot be converted to {OLDEST}: {brief(error)}"
        problems.append(Problem(file, f"{text}. Export it again with opset {OLDEST} or newer", "G1"))
        return None
