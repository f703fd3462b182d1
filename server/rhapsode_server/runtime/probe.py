"""A tiny graph that shows whether an execution provider really computes."""

import numpy as np
from onnx import TensorProto, helper

from rhapsode_server.errors import RunFailed
from rhapsode_server.runtime.session import Session

# Opset and IR version of 2024: every ONNX Runtime that is allowed here reads them.
_OPSET = 21
_IR_VERSION = 10


def graph() -> bytes:
    """A MatMul and a Conv of ones, because a GPU runs the first with cuBLAS and the second with cuDNN."""
    ones = [1.0] * 16
    made = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "matrix"], ["product"]),
            helper.make_node("Conv", ["product", "kernel"], ["y"]),
        ],
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1, 1, 1])],
        [
            helper.make_tensor("matrix", TensorProto.FLOAT, [4, 4], ones),
            helper.make_tensor("kernel", TensorProto.FLOAT, [1, 1, 4, 4], ones),
        ],
    )
    opset = [helper.make_opsetid("", _OPSET)]
    return bytes(helper.make_model(made, opset_imports=opset, ir_version=_IR_VERSION).SerializeToString())


def check(session: Session) -> None:
    """Run the graph once and compare: RunFailed where the sum of 64 ones is not 64."""
    given = session.run({"x": np.ones((2, 1, 4, 4), np.float32)})["y"]
    if not np.array_equal(given, np.full((2, 1, 1, 1), 64, np.float32)):
        raise RunFailed("a sum of small whole numbers came out wrong")
