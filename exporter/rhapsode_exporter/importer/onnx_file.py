"""Reading an ONNX file into one model that holds all its weights and no functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.inliner
from google.protobuf.message import DecodeError
from onnx import ModelProto
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_model, uses_external_data

from rhapsode_exporter.importer import limits
from rhapsode_exporter.importer.nodes import tensors_of
from rhapsode_exporter.importer.problems import Problem


@dataclass(frozen=True, slots=True, eq=False)
class WholeModel:
    """A model that reaches for nothing outside, and what was done to make it so, in words."""

    model: ModelProto
    changes: tuple[str, ...]


def load(path: Path, problems: list[Problem]) -> WholeModel | None:
    """The model of a file and of the data beside it; None, with the reason among `problems`, where there is none."""
    model = _parse(path, problems)
    places = None if model is None else _pull_in(model, path, problems)
    if model is None or places is None:
        return None
    pulled = (f"weights pulled in from {', '.join(places)}",) if places else ()
    if not model.functions:
        return WholeModel(model, pulled)
    try:
        return WholeModel(onnx.inliner.inline_local_functions(model), (*pulled, "functions inlined"))
    except Exception as error:  # the inliner is C++ and says what it likes
        problems.append(Problem(path.name, f"has functions that cannot be inlined: {brief(error)}", "G3"))
        return None


def brief(error: Exception) -> str:
    """The message of a library in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _parse(path: Path, problems: list[Problem]) -> ModelProto | None:
    try:
        if path.stat().st_size > limits.FILE_BYTES:
            problems.append(_too_large(path.name))
            return None
        model = onnx.load_model_from_string(path.read_bytes())
    except OSError as error:
        problems.append(Problem(path.name, f"cannot be read: {error.strerror}", "F2"))
        return None
    except DecodeError:
        problems.append(Problem(path.name, "is not an ONNX model", "G1"))
        return None
    if not model.graph.output:
        problems.append(Problem(path.name, "has no graph, or a graph without outputs", "G1"))
        return None
    return model


def _pull_in(model: ModelProto, path: Path, problems: list[Problem]) -> Sequence[str] | None:
    """Read external data into the model and name its files; None, with the reason in `problems`, where that fails."""
    outside = [tensor for tensor in tensors_of(model.graph) if uses_external_data(tensor)]
    places = sorted({ExternalDataInfo(tensor).location for tensor in outside})
    there = [path.parent / place for place in places if (path.parent / place).is_file()]
    if sum(file.stat().st_size for file in there) + model.ByteSize() > limits.FILE_BYTES:
        problems.append(_too_large(f"{path.name} with {', '.join(places)}"))
        return None
    try:
        load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        text = f"keeps weights in {', '.join(places)}, which must lie beside it: {brief(error)}"
        problems.append(Problem(path.name, text, "G2"))
        return None
    if left := sorted({tensor.name for tensor in tensors_of(model.graph) if uses_external_data(tensor)}):
        text = f"the data of {', '.join(left)} lies outside the file and cannot be pulled in; save it inside"
        problems.append(Problem(path.name, text, "G2"))
        return None
    return places


def _too_large(what: str) -> Problem:
    return Problem(what, f"is larger than {limits.FILE_BYTES} bytes, the most that a graph may have", "F6")
