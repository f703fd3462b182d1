"""Every bundle below a folder, loaded or refused together, and found by name."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from rhapsode_server.errors import BundleError, ModelNotFound, StartupError
from rhapsode_server.models.decoder import ImageRow
from rhapsode_server.models.encoder import EncodeRow
from rhapsode_server.models.latents import Draw, Prior, draw
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.sampling import Sampling
from rhapsode_server.models.text import TextSpec, Tokens
from rhapsode_server.repository import registry
from rhapsode_server.repository.registry import Batching, LoadedModel, Registry
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support import graphs
from support.breaking import edit
from support.bundles import CHARACTERS, grey_generator, stepper, write_all


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime(RuntimeOptions(provider="cpu"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, runtime: Runtime) -> Registry:
    models = tmp_path_factory.mktemp("models")
    write_all(models)
    stepper(version=2, seed=7).write(models)
    stepper(version=10, seed=8).write(models)
    return registry.load(models, runtime, Batching(max_batch=16))


def test_models_are_sorted_by_name_then_number(served: Registry) -> None:
    assert repr(served) == (
        "Registry(tiny-digits@1, tiny-faces@1, tiny-judge@1, tiny-shapes@1, tiny-text@1, tiny-text@2, tiny-text@10)"
    )


def test_the_newest_version_answers_to_the_bare_name(served: Registry) -> None:
    assert served.find("tiny-text").version == 10
    assert served.find("tiny-text@2").version == 2


@pytest.mark.parametrize(
    "reference",
    ["", "nobody", "tiny-text@3", "tiny-text@", "tiny-text@02", "@1", "../tiny-text", "tiny-text/1", "\0", "x" * 2**20],
)
def test_what_is_not_there_is_not_found(served: Registry, reference: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        served.find(reference)
    assert len(caught.value.message) < 100  # the input is not echoed


def test_parts_follow_from_the_graphs(served: Registry) -> None:
    def parts(model: LoadedModel) -> list[bool]:
        return [part is not None for part in (model.stepper, model.decoder, model.encoder)]

    assert parts(served.find("tiny-text")) == [True, False, False]
    assert parts(served.find("tiny-faces")) == [False, True, True]
    assert parts(served.find("tiny-shapes")) == [False, True, False]
    assert parts(served.find("tiny-digits")) == [False, True, False]
    assert served.find("tiny-text").stepper.max_batch == 16  # type: ignore[union-attr]  # it has one, as seen above


def recurrence(seed: int, prompt: int, steps: int) -> str:
    """The greedy text of the tiny stepper, worked out here from its weights: states paired as declared."""
    weights = {w.name: numpy_helper.to_array(w) for w in graphs.stepper(30, seed=seed).graph.initializer}
    alpha, beta, token, text = np.full(16, 0.25), np.zeros(16), prompt, ""
    for _ in range(steps):
        x = weights["embedding"][token].astype(np.float64)
        alpha = np.tanh(x + alpha @ weights["alpha_alpha"] + beta @ weights["beta_alpha"])
        beta = 1 / (1 + np.exp(-(x + beta @ weights["beta_beta"] + alpha @ weights["alpha_beta"])))
        token = int(np.argmax(alpha @ weights["alpha_logits"] + beta @ weights["beta_logits"]))
        text += CHARACTERS[token]
    return text


def test_states_are_paired_by_name_and_begin_as_declared(served: Registry) -> None:
    stepped = served.find("tiny-text@1").stepper
    assert stepped is not None
    row = TextRow(TextSpec((4,), sampling=Sampling(temperature=0), max_tokens=40))
    tokens: list[str] = []
    while True:
        (outcome,) = stepped.advance([row])
        tokens += [event.text for event in outcome.events if isinstance(event, Tokens)]
        if outcome.done:
            break
    assert "".join(tokens) == recurrence(seed=1, prompt=4, steps=40)


@pytest.mark.parametrize(("name", "prior"), [("tiny-digits", Prior.UNIFORM), ("tiny-faces", Prior.NORMAL)])
def test_the_prior_is_the_one_declared(served: Registry, name: str, prior: Prior) -> None:
    decoder = served.find(name).decoder
    assert decoder is not None
    (outcome,) = decoder.advance([ImageRow(0, Draw(5, 6))])
    assert np.array_equal(outcome.events[0].latent, draw(Draw(5, 6), 8, prior))


def test_a_class_reaches_its_graph(served: Registry) -> None:
    decoder = served.find("tiny-shapes").decoder
    assert decoder is not None
    outcomes = decoder.advance([ImageRow(n, Draw(1, 1), class_id=n) for n in range(3)])
    assert len({outcome.events[0].values.tobytes() for outcome in outcomes}) == 3


def test_what_is_decoded_can_be_encoded(served: Registry) -> None:
    model = served.find("tiny-faces")
    assert model.decoder is not None
    assert model.encoder is not None
    (picture,) = model.decoder.advance([ImageRow(0, Draw(1, 1))])[0].events
    (encoded,) = model.encoder.advance([EncodeRow(picture.values)])[0].events
    assert encoded.mean.shape == encoded.log_variance.shape == (8,)


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_folder_says_what_to_do(tmp_path: Path, runtime: Runtime, exists: bool) -> None:
    models = tmp_path / "models"
    if exists:
        models.mkdir()
        (models / "README.md").touch()
        (models / ".half-written").mkdir()
    with pytest.raises(StartupError, match=r"name another with --models, or make one with 'rhapsode-train"):
        registry.load(models, runtime, Batching(max_batch=1))


def test_the_problems_of_all_bundles_are_told_at_once(tmp_path: Path, runtime: Runtime) -> None:
    edit(stepper("first").write(tmp_path), lambda bundle: bundle.ClearField("licence"))
    stepper("second").write(tmp_path)
    (grey_generator("third").write(tmp_path) / "card.md").unlink()
    stepper("fourth").write(tmp_path).rename(tmp_path / "fourth" / "v1")
    seen: list[str] = []
    begun: list[str] = []
    with pytest.raises(BundleError) as caught:
        registry.load(
            tmp_path,
            runtime,
            Batching(max_batch=1),
            progress=lambda model: seen.append(model.name),
            begin=begun.append,
        )
    lines = caught.value.message.splitlines()
    assert [line.split(":")[0] for line in lines] == ["bundle first/1", "bundle fourth/v1", "bundle third/1"]
    assert seen == ["second"]
    assert begun == ["first/1", "fourth/v1", "second/1", "third/1"]


def test_plain_files_and_hidden_folders_are_passed_over(tmp_path: Path, runtime: Runtime) -> None:
    folder = stepper().write(tmp_path)
    (tmp_path / "README.md").touch()
    (tmp_path / ".git").mkdir()
    (folder.parent / ".2.partial").mkdir()
    (folder.parent / "notes").touch()
    assert repr(registry.load(tmp_path, runtime, Batching(max_batch=1))) == "Registry(tiny-text@1)"


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_place_that_is_no_folder_has_no_model(tmp_path: Path, runtime: Runtime, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match="no model in the folder"):
        registry.load(tmp_path / name, runtime, Batching(max_batch=1))


@pytest.mark.parametrize("closed", ["models", "tiny-text"])
def test_a_folder_that_cannot_be_looked_into_is_named(
    tmp_path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    stepper().write(tmp_path / "models")
    look = Path.iterdir

    def refuse(folder: Path) -> Iterator[Path]:
        if folder.name == closed:  # the mode of a folder is nothing to root, as whom tests may run
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return look(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(StartupError, match=rf"the folder '.*/{closed}' cannot be read: Permission denied"):
        registry.load(tmp_path / "models", runtime, Batching(max_batch=1))


def test_a_link_in_place_of_a_name_is_refused(tmp_path: Path, runtime: Runtime) -> None:
    stepper().write(tmp_path / "elsewhere")
    models = tmp_path / "models"
    models.mkdir()
    (models / "tiny-text").symlink_to(tmp_path / "elsewhere" / "tiny-text")
    with pytest.raises(BundleError, match=r"is a link .*F3"):
        registry.load(models, runtime, Batching(max_batch=1))
