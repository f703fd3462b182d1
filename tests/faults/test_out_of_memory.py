"""Memory that is not there: told from other failures, borne by whom it concerns alone, and no end of a session."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from rhapsode_server.engine.attempt import attempt, failure_of
from rhapsode_server.errors import DeviceLost, NonFiniteOutput, OutOfMemory, RhapsodeError, RunFailed
from rhapsode_server.models.base import OneRun, Outcome, Wanted
from rhapsode_server.models.fused import FusedSteps
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.sampling import Sampling
from rhapsode_server.models.stepper import Stepper
from rhapsode_server.models.text import TextEvent, TextSpec
from rhapsode_server.models.unfused import UnfusedSteps
from rhapsode_server.runtime.failures import failure
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from rhapsode_server.runtime.session import Session
from support.steppers import WAYS, Way, generate, ids, make, tokens

ARENA = (
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Expand node. Name:'' Status Message: "
    "/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal("
    "size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 4398046511104\n"
)
OVERFLOW = (
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Expand node. Name:'' Status Message: "
    "/onnxruntime_src/onnxruntime/core/framework/op_kernel.cc:87 virtual OrtValue* onnxruntime::OpKernelContext::"
    "OutputMLValue(int, const onnxruntime::TensorShape&) [ONNXRuntimeError] : 1 : FAIL : Calculation for Tensor storage"
    " size overflowed\n"
)
CUDA = (
    "[ONNXRuntimeError] : 1 : FAIL : {kind} failure {number}: {text} ; GPU=0 ; hostname=node-17.secret ; "
    "file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc ; line=129 ; expr=cudaMalloc(&p, size); "
)


def cuda(number: int, text: str, kind: str = "CUDA") -> str:
    return CUDA.format(kind=kind, number=number, text=text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (ARENA, OutOfMemory),
        (OVERFLOW, OutOfMemory),
        ("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc", OutOfMemory),
        ("BFCArena Available memory of 1024 is smaller than requested bytes of 4096", OutOfMemory),
        (cuda(2, "out of memory"), OutOfMemory),
        (cuda(4, "CUDNN_STATUS_ALLOC_FAILED", "CUDNN"), OutOfMemory),
        (cuda(700, "an illegal memory access was encountered"), DeviceLost),
        (cuda(710, "device-side assert triggered"), DeviceLost),
        (cuda(719, "unspecified launch failure"), DeviceLost),
        (cuda(214, "uncorrectable ECC error encountered"), DeviceLost),
        (cuda(100, "no CUDA-capable device is detected"), DeviceLost),
        (cuda(9, "invalid configuration argument"), RunFailed),
        (cuda(7, "CUBLAS_STATUS_INVALID_VALUE", "CUBLAS"), RunFailed),
        ("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: x", RunFailed),
    ],
)
def test_onnxruntimes_texts_are_told_apart(text: str, kind: type[RhapsodeError]) -> None:
    error = failure(RuntimeError(text))
    assert type(error) is kind
    assert not [word for word in ("secret", "onnxruntime_src", "/", "BFCArena::", "expr") if word in error.message]


def test_pythons_own_memory_counts_too() -> None:
    assert type(failure(MemoryError())) is OutOfMemory


def greedy_session() -> Session:
    """A graph that makes a square of as many ones as it is told, and sums them."""
    nodes = [helper.make_node("Expand", ["x", "shape"], ["square"]), helper.make_node("ReduceSum", ["square"], ["sum"])]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1]),
        helper.make_tensor_value_info("shape", TensorProto.INT64, [2]),
    ]
    outputs = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "greedy", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return Runtime(RuntimeOptions(provider="cpu")).session(model.SerializeToString())


@pytest.mark.parametrize("side", [1 << 20, 1 << 30, 1 << 31], ids=["terabytes", "exabytes", "more than numbers say"])
def test_a_session_that_asked_for_more_than_there_is_can_be_used_again(side: int) -> None:
    session = greedy_session()
    one = np.ones((1, 1), np.float32)
    with pytest.raises(OutOfMemory):
        session.run({"x": one, "shape": np.array([side, side])})
    assert session.run({"x": one, "shape": np.array([2, 3])})["sum"].item() == 6


class Small(OneRun):
    """A model with the memory for a few rows of size 1; a larger row needs as much by itself."""

    max_batch = 64

    def __init__(self, memory: int, fault: Exception | None = None) -> None:
        self.memory = memory
        self.fault = fault
        self.runs: list[list[int]] = []

    def advance(self, rows: Sequence[int]) -> Sequence[Outcome[int]]:
        self.runs.append(list(rows))
        if sum(rows) > self.memory:
            raise OutOfMemory("there was not the memory for the run")
        if self.fault is not None and 1 in rows:
            raise self.fault
        return [Outcome([row], done=True) for row in rows]


def test_a_row_that_is_too_much_fails_alone() -> None:
    model = Small(memory=8)
    outcomes = attempt(model, [1, 1, 1, 100, 1, 1, 1, 1])
    assert [type(outcome.error) for outcome in outcomes] == [type(None)] * 3 + [OutOfMemory] + [type(None)] * 4
    assert failure_of(outcomes) is None
    assert len(model.runs) == 7  # the whole, its halves, the quarters and the eighths of one


def test_a_batch_that_is_too_much_is_run_in_parts_in_order() -> None:
    outcomes = attempt(Small(memory=3), list(range(1, 4)) * 3)
    assert [outcome.events for outcome in outcomes] == [[number] for number in list(range(1, 4)) * 3]


def test_a_model_without_any_memory_has_failed() -> None:
    assert isinstance(failure_of(attempt(Small(memory=0), [1] * 5)), OutOfMemory)


@pytest.mark.parametrize("fault", [RunFailed("no"), DeviceLost("gone"), ZeroDivisionError(), MemoryError()])
def test_a_part_that_fails_otherwise_takes_no_other_part_with_it(fault: Exception) -> None:
    outcomes = attempt(Small(memory=4, fault=fault), [2, 2, 1, 1])
    assert [outcome.error is None for outcome in outcomes] == [True, True, False, False]
    lost = failure_of(outcomes)
    assert isinstance(lost, DeviceLost) if isinstance(fault, DeviceLost) else lost is None


def test_numbers_that_are_not_finite_are_no_failed_run() -> None:
    assert failure_of([Outcome[int](done=True, error=NonFiniteOutput("NaN"))]) is None


@dataclass
class Fault:
    """How many calls until one fails, None for never; or what all fail with."""

    due_in: int | None = None
    count: int = 0
    lasting: str = ""

    def strike(self) -> None:
        if self.lasting:
            raise RuntimeError(self.lasting)
        if self.due_in == 0:
            self.due_in = None
            self.count += 1
            raise RuntimeError(ARENA)
        if self.due_in is not None:
            self.due_in -= 1


class Fallible:
    """A session of ONNX Runtime that fails at one call, as it does where there is no memory."""

    def __init__(self, inner: Any, fault: Fault) -> None:
        self._inner = inner
        self._fault = fault

    def run_with_iobinding(self, binding: Any) -> None:
        self._fault.strike()
        self._inner.run_with_iobinding(binding)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def make_fallible(stepper: Stepper, fault: Fault) -> None:
    """Have its runs fail as the fault says, in whichever session they are."""
    way: Any = stepper._way
    runs: list[Any] = [way._session] if isinstance(way, UnfusedSteps) else [*way._forms.unrolled.values()]
    if isinstance(way, FusedSteps) and way._forms.loop is not None:
        runs.append(way._forms.loop)
    for run in runs:
        run._inner = Fallible(run._inner, fault)


class Cramped:
    """A stepper that now and then has no memory for more than one row."""

    def __init__(self, stepper: Stepper, rng: random.Random) -> None:
        self.max_batch = stepper.max_batch
        self.fault = Fault()
        self._stepper = stepper
        self._rng = rng
        make_fallible(stepper, self.fault)

    def advance(self, rows: Sequence[TextRow]) -> Sequence[Outcome[TextEvent]]:
        self.fault.due_in = self._rng.choice([None, 0, 1]) if len(rows) > 1 else None
        return self._stepper.advance(rows)

    def wants(self, row: TextRow) -> Wanted:
        return self._stepper.wants(row)


@pytest.mark.parametrize("name", WAYS)
def test_rows_in_changing_company_lose_nothing_when_runs_fail(name: Way) -> None:
    """The state of each row stands where it stood before the run that failed, wherever that is kept."""
    rng = random.Random(5)
    stepper = make(name)
    specs = [
        TextSpec(ids("the quick"[: 1 + i % 9]), max_tokens=8 + 3 * i, seed=i, sampling=Sampling(presence_penalty=i % 2))
        for i in range(9)
    ]
    expected = [generate(stepper, spec) for spec in specs]
    cramped = Cramped(stepper, rng)
    rows = [TextRow(spec) for spec in specs]
    events: dict[TextRow, list[TextEvent]] = {row: [] for row in rows}
    waiting = list(rows)
    while waiting:
        batch = rng.sample(waiting, rng.randint(1, len(waiting)))
        for row, outcome in zip(batch, attempt(cramped, batch), strict=True):
            assert outcome.error is None
            events[row] += outcome.events
            if outcome.done:
                waiting.remove(row)
    assert cramped.fault.count > 5
    assert [(tokens(events[row]), events[row][-1]) for row in rows] == expected


@pytest.mark.parametrize("text", [ARENA, "the graph could not be run"], ids=["no memory", "failed"])
@pytest.mark.parametrize("name", WAYS)
def test_rows_that_sat_out_a_failed_run_go_on_where_they_stood(name: Way, text: str) -> None:
    """Those of the failed run end, and the others come back as they were: alone at first, then with one who joins."""
    stepper, fault = make(name), Fault()
    specs = [TextSpec(ids("the quick"[: 1 + i]), max_tokens=40, seed=i) for i in range(5)]
    expected = [generate(stepper, spec) for spec in specs]
    make_fallible(stepper, fault)
    rows = [TextRow(spec) for spec in specs]
    events: dict[TextRow, list[TextEvent]] = {row: [] for row in rows}

    def run(batch: Sequence[TextRow]) -> list[bool]:
        """Advance those that have not ended: which of them failed."""
        going = [row for row in batch if not row.ended]
        outcomes = attempt(stepper, going) if going else []
        for row, outcome in zip(going, outcomes, strict=True):
            events[row] += outcome.events
        return [outcome.error is not None for outcome in outcomes]

    assert run(rows[2:4]) == [False, False]
    fault.lasting = text
    assert run(rows[:2]) == [True, True]
    fault.lasting = ""
    assert run(rows[2:4]) == [False, False]
    while not all(row.ended for row in rows[2:]):
        assert not any(run(rows[2:]))
    assert [(tokens(events[row]), events[row][-1]) for row in rows[2:]] == expected[2:]
