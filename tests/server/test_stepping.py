"""A step graph becomes a stepper: fused, or plain with the reason, and always with the reference's tokens."""

from pathlib import Path

import onnx
import pytest

from rhapsode.v1 import model_pb2, text_pb2
from rhapsode.v1.bounds_pb2 import bounds
from rhapsode_server.errors import BundleError
from rhapsode_server.repository import loading
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.stepping import RANKS, Batching, Form
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support import bundles
from support.breaking import edit_graph
from support.requests import generate_text, text
from support.server import load, running


def loaded(folder: Path, form: Form = "auto") -> LoadedModel:
    return loading.load(folder, Runtime(RuntimeOptions(provider="cpu")), Batching(max_batch=8, run_steps=4, form=form))


@pytest.mark.parametrize(("asked", "taken"), [("auto", "loop"), ("loop", "loop"), ("unrolled", "unrolled")])
def test_a_sound_graph_is_fused(tmp_path: Path, asked: Form, taken: str) -> None:
    model = loaded(bundles.stepper().write(tmp_path), asked)
    assert (model.form, model.unfused_reason, model.batch_invariant) == (taken, "", True)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("form", ["loop", "unrolled"])
def test_few_rows_are_fused_as_well_as_many(tmp_path: Path, rows: int, form: Form) -> None:
    batching = Batching(max_batch=rows, run_steps=20, form=form)
    folder = bundles.stepper().write(tmp_path)
    model = loading.load(folder, Runtime(RuntimeOptions(provider="cpu")), batching)
    assert (model.form, model.unfused_reason) == (form, "")


def test_the_unrolled_form_tells_as_many_tokens_as_may_be_asked_for() -> None:
    fields = (text_pb2.TextGeneration.DESCRIPTOR, "logprobs"), (text_pb2.ScoreTextRequest.DESCRIPTOR, "top_logprobs")
    assert {int(kind.fields_by_name[name].GetOptions().Extensions[bounds].max) for kind, name in fields} == {RANKS}


def test_a_plain_one_is_given_when_asked_for(tmp_path: Path) -> None:
    model = loaded(bundles.stepper().write(tmp_path), "plain")
    assert (model.form, model.unfused_reason) == ("plain", "")


def take_our_prefix(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["rhapsode.x" if name == "x" else name for name in names]


@pytest.fixture
def unfusable(tmp_path: Path) -> Path:
    edit_graph(bundles.stepper().write(tmp_path), "step.onnx", take_our_prefix)
    return tmp_path


async def test_what_cannot_be_fused_is_served_all_the_same_and_says_so(unfusable: Path, tmp_path: Path) -> None:
    bundles.stepper("twin").write(tmp_path)
    async with running(load(unfusable)) as server:
        reply = await server.model.GetModel(model_pb2.GetModelRequest(model="tiny-text"))
        assert reply.model.runtime.step_form == "plain"
        assert "begins with rhapsode." in reply.model.runtime.unfused_reason
        twin = await server.model.GetModel(model_pb2.GetModelRequest(model="twin"))
        assert (twin.model.runtime.step_form, twin.model.runtime.unfused_reason) == ("loop", "")
        plain = await generate_text(server, text(80, seed=5))
        fused = await generate_text(server, text(80, model="twin", seed=5))
        assert plain.candidates == fused.candidates


def test_a_declaration_that_lies_about_a_state_is_refused_not_fused(tmp_path: Path) -> None:
    draft = bundles.stepper()
    draft.graph(bundles.STEP).inputs[1].shape[1].size = 17
    with pytest.raises(BundleError, match="zeta_out"):
        loaded(draft.write(tmp_path))
