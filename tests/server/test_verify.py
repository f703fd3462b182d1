"""What the goldens show at load: a bundle that does not do what it says, and a row that depends on its company."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from rhapsode_server.errors import BundleError
from rhapsode_server.repository import loading, verify
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.stepping import Batching
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support.breaking import edit, edit_graph
from support.bundles import DECODE, STEP, Draft, autoencoder, class_generator, grey_generator, stepper


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime(RuntimeOptions(provider="cpu"))


def load(folder: Path, runtime: Runtime) -> LoadedModel:
    return loading.load(folder, runtime, Batching(max_batch=64))


def test_the_permutation_moves_every_row_but_loses_none() -> None:
    assert sorted(verify.PERMUTATION) == list(range(33))
    assert all(place != row for place, row in enumerate(verify.PERMUTATION))


@pytest.mark.parametrize("draft", [stepper(), autoencoder(), class_generator(), grey_generator()])
def test_float32_graphs_are_batch_invariant_here(tmp_path: Path, runtime: Runtime, draft: Draft) -> None:
    loaded = load(draft.write(tmp_path), runtime)
    assert loaded.batch_invariant
    assert len(loaded.fingerprint) == len(loaded.digest) == 64


def test_a_golden_beyond_the_tolerance_is_refused(tmp_path: Path, runtime: Runtime) -> None:
    draft = stepper()
    draft.golden_offset = 2e-4
    with pytest.raises(BundleError, match=r"'logits': differs from its golden by 0.0002.*tolerance is 0.0001 .*V3"):
        load(draft.write(tmp_path), runtime)


@pytest.mark.parametrize(("offset", "tolerance"), [(9e-5, None), (1e-2, 2e-2)])
def test_a_golden_within_the_tolerance_is_served(
    tmp_path: Path, runtime: Runtime, offset: float, tolerance: float | None
) -> None:
    draft = stepper()
    draft.golden_offset = offset
    if tolerance is not None:
        draft.graph(STEP).tolerance = tolerance
    assert load(draft.write(tmp_path), runtime).batch_invariant


def test_a_tolerance_of_zero_is_not_an_absent_one(tmp_path: Path, runtime: Runtime) -> None:
    draft = stepper()
    draft.golden_offset = 1e-6
    draft.graph(STEP).tolerance = 0.0
    with pytest.raises(BundleError, match="the tolerance is 0 "):
        load(draft.write(tmp_path), runtime)


def mix_rows(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    """Add a millionth of something that depends on other rows to the picture."""
    image = model.graph.node[-1]
    image.output[0] = "clean"
    model.graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "rows"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(1e-6, np.float32), "little"))
    model.graph.node.extend(
        [
            node,
            helper.make_node("Mul", ["mixed", "little"], ["trace"]),
            helper.make_node("Add", ["clean", "trace"], ["image"]),
        ]
    )


def test_a_mean_over_the_batch_is_found(tmp_path: Path, runtime: Runtime) -> None:
    draft = grey_generator()
    mix_rows(draft.graphs[DECODE], helper.make_node("ReduceMean", ["clean", "rows"], ["mixed"], keepdims=1))
    assert not load(draft.write(tmp_path), runtime).batch_invariant


def test_what_only_the_permutation_shows_is_found(tmp_path: Path, runtime: Runtime) -> None:
    """A running sum down the batch gives the first rows the same bits whatever follows them."""
    draft = grey_generator()
    mix_rows(draft.graphs[DECODE], helper.make_node("CumSum", ["clean", "row"], ["mixed"]))
    draft.graphs[DECODE].graph.initializer.append(numpy_helper.from_array(np.array(0, np.int64), "row"))
    assert not load(draft.write(tmp_path), runtime).batch_invariant


def test_nan_is_beyond_every_tolerance(tmp_path: Path, runtime: Runtime) -> None:
    def poison(model: onnx.ModelProto) -> None:
        weight = next(weight for weight in model.graph.initializer if weight.name == "embedding")
        values = numpy_helper.to_array(weight).copy()
        values[3] = np.nan
        weight.CopyFrom(numpy_helper.from_array(values, "embedding"))

    folder = stepper().write(tmp_path)
    edit_graph(folder, "step.onnx", poison)
    with pytest.raises(BundleError, match="differs from its golden by inf at batch 8"):
        load(folder, runtime)


def test_a_graph_that_cannot_run_is_refused(tmp_path: Path, runtime: Runtime) -> None:
    folder = grey_generator().write(tmp_path)

    def misfold(model: onnx.ModelProto) -> None:
        weight = next(weight for weight in model.graph.initializer if weight.name == "folded")
        weight.CopyFrom(numpy_helper.from_array(np.array([-1, 4, 5, 4]), "folded"))

    edit_graph(folder, "decode.onnx", misfold)
    with pytest.raises(BundleError, match=r"tiny-digits/1: decode.onnx: .*V2"):
        load(folder, runtime)


def test_a_critic_is_verified(tmp_path: Path, runtime: Runtime) -> None:
    folder = grey_generator().write(tmp_path)

    def turn(model: onnx.ModelProto) -> None:
        model.graph.node[-1].CopyFrom(helper.make_node("Identity", ["column"], ["realness"]))

    edit_graph(folder, "critic.onnx", turn)
    with pytest.raises(BundleError, match=r"critic.onnx: .*V[23]"):
        load(folder, runtime)


def fingerprint(draft: Draft, models: Path, runtime: Runtime) -> str:
    return load(draft.write(models), runtime).fingerprint


def test_the_fingerprint_survives_a_restart(tmp_path: Path) -> None:
    folder = stepper().write(tmp_path)
    first, second = (load(folder, Runtime(RuntimeOptions(provider="cpu", threads=n))).fingerprint for n in (1, 2))
    assert first == second


def test_the_fingerprint_follows_what_moves_bytes_and_nothing_else(tmp_path: Path, runtime: Runtime) -> None:
    base = fingerprint(stepper(), tmp_path / "base", runtime)
    worded = stepper()
    worded.bundle.description = "Told in other words."
    worded.bundle.metrics[0].value = 0.75
    assert fingerprint(worded, tmp_path / "worded", runtime) == base

    heavier, renamed, started = (
        stepper(seed=9),
        stepper(tokens="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123\n"[1:], start_token=None),
        stepper(),
    )
    started.graph(STEP).states[0].initial_value = 0.5
    others = [fingerprint(draft, tmp_path / f"{n}", runtime) for n, draft in enumerate((heavier, renamed, started))]
    assert len({base, *others}) == 4


def test_the_fingerprint_hears_the_critic_and_the_drawn_latents(tmp_path: Path, runtime: Runtime) -> None:
    base = fingerprint(grey_generator(), tmp_path / "base", runtime)
    judged = grey_generator()
    judged.graphs.update({role: model for role, model in grey_generator(seed=50).graphs.items() if role != DECODE})
    drawn = grey_generator().write(tmp_path / "drawn")
    edit(drawn, lambda bundle: setattr(bundle.latent, "prior", 1))
    assert len({base, fingerprint(judged, tmp_path / "judged", runtime), load(drawn, runtime).fingerprint}) == 3


def test_a_model_that_falls_silent_still_has_a_fingerprint(tmp_path: Path, runtime: Runtime) -> None:
    """Its goldens are sound; rows that meet the fault end with an error, and that is hashed too."""
    assert load(stepper(nan_after="q").write(tmp_path), runtime).batch_invariant
