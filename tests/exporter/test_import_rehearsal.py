"""What the server would refuse to load is refused at import, by the server itself."""

import io
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from typer.testing import CliRunner

from rhapsode_exporter.errors import ImportRefusedError
from rhapsode_exporter.main import build_app
from support import foreign


def test_what_the_server_would_not_load_is_not_written(tmp_path: Path) -> None:
    """A decoder that makes something as large as its latents say: small here, as large as a request likes there."""
    made = foreign.decoder()
    nodes = [
        foreign.node("ReduceSum", "z", "sum"),
        helper.make_node("Cast", ["sum"], ["count"], to=TensorProto.INT64),
        foreign.node("Squeeze", "count", "most"),
        foreign.node("Range", "first most step", "numbers"),
        foreign.node("ReduceMax", "numbers", "largest"),
        helper.make_node("Cast", ["largest"], ["float"], to=TensorProto.FLOAT),
        foreign.node("Mul", "float nothing", "zero"),
    ]
    made.graph.node[-1].output[0] = "picture"
    made.graph.node.extend([*nodes, foreign.node("Add", "picture zero", "x_hat")])
    numbers = {"first": np.array(-100), "step": np.array(1), "nothing": np.array(0, np.float32)}
    made.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in numbers.items())
    described, files = foreign.write(tmp_path, foreign.PICTURES, dec=made)
    words = ["import", "--describe", str(described), "--out", str(tmp_path / "models"), *map(str, files)]
    with pytest.raises(ImportRefusedError, match=r"(?s)would not load foreign-pictures:\n  .*docs/bundle.md, G10"):
        CliRunner().invoke(build_app([], Console(file=io.StringIO())), words, catch_exceptions=False)
    assert not (tmp_path / "models").exists()
