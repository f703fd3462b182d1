"""A session: arrays in and out, and errors that say what was wrong without telling where it lies."""

import threading

import numpy as np
import pytest
from onnx import TensorProto, helper

from rhapsode_server.errors import RunFailed
from rhapsode_server.runtime.failures import brief
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from rhapsode_server.runtime.session import Session, TensorInfo
from support import graphs


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime(RuntimeOptions(provider="cpu"))


@pytest.fixture(scope="module")
def encoder(runtime: Runtime) -> Session:
    return runtime.session(graphs.encoder(3, seed=1).SerializeToString())


def pictures(count: int) -> graphs.Floats:
    return np.random.Generator(np.random.PCG64(0)).standard_normal((count, 3, 8, 8), np.float32)


def test_tensors_are_told(encoder: Session) -> None:
    assert encoder.inputs == {"image": TensorInfo("image", np.dtype(np.float32), (None, 3, 8, 8))}
    assert encoder.outputs["mean"] == TensorInfo("mean", np.dtype(np.float32), (None, 8))
    assert repr(encoder) == "Session(image -> mean, log_variance)"


@pytest.mark.parametrize("count", [0, 1, 5, 64])
def test_every_batch_size_runs(encoder: Session, count: int) -> None:
    results = encoder.run({"image": pictures(count)})
    assert list(results) == ["mean", "log_variance"]
    assert results["mean"].shape == (count, 8)


def test_a_row_does_not_depend_on_its_batch(encoder: Session) -> None:
    whole = encoder.run({"image": pictures(64)})["mean"]
    alone = [encoder.run({"image": pictures(64)[row : row + 1]})["mean"] for row in range(64)]
    assert np.concatenate(alone).tobytes() == whole.tobytes()


def test_what_fails_is_raised_and_not_printed(runtime: Runtime, capfd: pytest.CaptureFixture[str]) -> None:
    session = runtime.session(graphs.table().SerializeToString())
    with pytest.raises(RunFailed, match="idx=99"):
        session.run({"index": np.array([99], np.float32)})
    assert capfd.readouterr() == ("", "")


def test_an_input_need_not_be_contiguous(encoder: Session) -> None:
    straight = pictures(4)
    turned = np.asfortranarray(straight)
    assert np.array_equal(encoder.run({"image": turned})["mean"], encoder.run({"image": straight})["mean"])


def test_outputs_are_not_shared_between_runs(encoder: Session) -> None:
    first = encoder.run({"image": pictures(4)})["mean"]
    kept = first.copy()
    encoder.run({"image": -pictures(4)})
    assert np.array_equal(first, kept)
    first[:] = 0  # the caller owns it


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, r"takes \['image'\], it was given \[\]"),
        ({"picture": pictures(1)}, r"given \['picture'\]"),
        ({"image": pictures(1), "mask": pictures(1)}, r"given \['image', 'mask'\]"),
        ({"image": pictures(1).astype(np.float64)}, "image is float32, it was given float64"),
        ({"image": pictures(1)[:, :2]}, "invalid dimensions"),
        ({"image": pictures(1)[0]}, "could not be run"),
    ],
)
def test_wrong_feeds_are_refused_and_the_session_lives(
    encoder: Session, feeds: dict[str, graphs.Floats], message: str
) -> None:
    with pytest.raises(RunFailed, match=message):
        encoder.run(feeds)
    assert encoder.run({"image": pictures(1)})["mean"].shape == (1, 8)


def test_a_graph_that_asks_for_32_tebibytes_fails_alone(runtime: Runtime) -> None:
    graph = helper.make_graph(
        [helper.make_node("ConstantOfShape", ["size"], ["zeros"])],
        "huge",
        [helper.make_tensor_value_info("size", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("zeros", TensorProto.FLOAT, ["n"])],
    )
    opset = [helper.make_opsetid("", 21)]
    session = runtime.session(helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString())
    with pytest.raises(RunFailed, match="run: Failed to allocate memory for requested buffer of size 35184372088832"):
        session.run({"size": np.array([2**43])})
    assert session.run({"size": np.array([3])})["zeros"].shape == (3,)


def test_a_type_that_no_row_can_have_is_refused(runtime: Runtime) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["a"], ["b"])],
        "strings",
        [helper.make_tensor_value_info("a", TensorProto.STRING, ["batch"])],
        [helper.make_tensor_value_info("b", TensorProto.STRING, ["batch"])],
    )
    opset = [helper.make_opsetid("", 21)]
    with pytest.raises(RunFailed, match=r"tensor a has the type tensor\(string\)"):
        runtime.session(helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString())


def test_threads_may_share_a_session_on_the_cpu(encoder: Session) -> None:
    expected = encoder.run({"image": pictures(8)})["mean"].tobytes()
    seen: list[bytes] = []

    def run_often() -> None:
        seen.extend(encoder.run({"image": pictures(8)})["mean"].tobytes() for _ in range(20))

    threads = [threading.Thread(target=run_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [expected] * 80


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("[ONNXRuntimeError] : 1 : FAIL : no such file", "FAIL : no such file"),
        ("Error /secret/models/a.onnx:45 broke", "Error broke"),
        ("fix the inputs/outputs", "fix the inputs/outputs"),
        ("/x/arena.cc:360 void* onnxruntime::Arena::Get(size_t, bool) Failed to allocate", "Failed to allocate"),
        ("Status Message: /a.h:4 const T* onnxruntime::K::In(int) const [with T = U] Missing: x", "Missing: x"),
        ("x" * 500, "x" * 200),
        ("", "ValueError"),
    ],
)
def test_messages_are_short_and_name_no_path(raw: str, told: str) -> None:
    assert brief(ValueError(raw)) == told
