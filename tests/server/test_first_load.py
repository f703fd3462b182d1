"""A start takes the models that should be served: all of them or none, or as many as can be where it watches."""

import io
import json
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from rhapsode_server.config import Config
from rhapsode_server.errors import BundleError, LoadTooLong, ModelLoading, StartupError
from rhapsode_server.observe.logs import open_log
from rhapsode_server.repository.bundle import Announced
from rhapsode_server.repository.in_child import Leash, Rehearsed
from rhapsode_server.repository.registry import LoadedModel, Registry
from rhapsode_server.repository.residents import Key, Residents, State
from rhapsode_server.repository.stepping import Batching
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from rhapsode_server.serve import first_load, loading
from rhapsode_server.serve.living_folder import begun
from rhapsode_server.serve.model_loader import FIRST_SECONDS, FirstLoader, Found
from rhapsode_server.serve.preflight import check_models
from support.bundles import grey_generator, stepper


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Three versions of a model, another model, and a folder of the tests' own beside them."""
    for version in (1, 2, 10):
        stepper(version=version, seed=version).write(tmp_path)
    grey_generator().write(tmp_path)
    return tmp_path


def begin(models: Path, **settings: object) -> tuple[Registry, list[dict[str, object]]]:
    """What a server begins with, and what it says of it."""
    log = io.StringIO()
    config = Config.model_validate({"models": models, "provider": "cpu", "threads": 1, "max_batch": 8, **settings})
    _, registry = loading.load(config, open_log("info", "json", "0", log))
    return registry, [json.loads(line) for line in log.getvalue().splitlines()]


def spoil(folder: Path) -> None:
    (folder / "card.md").write_bytes(b"# A tidy model\n")  # as long as the one that is listed


def alias(models: Path, text: str) -> None:
    (models / "tiny-text" / "aliases.toml").write_text(text, "utf-8")


def test_the_newest_are_taken_besides_those_with_an_alias(models: Path) -> None:
    alias(models, "stable = 1\n")
    registry, _ = begin(models, versions=1)
    assert repr(registry) == "Registry(tiny-digits@1, tiny-text@1, tiny-text@10)"
    residents = Residents[LoadedModel](registry.models)
    first_load.tell(registry, residents)
    assert residents.find("tiny-text@stable").version == 1


def test_a_broken_bundle_that_is_not_wanted_refuses_no_start(models: Path) -> None:
    spoil(models / "tiny-text" / "1")
    assert repr(begin(models, versions=2)[0]) == "Registry(tiny-digits@1, tiny-text@2, tiny-text@10)"
    with pytest.raises(StartupError, match=r"bundle tiny-text/1: card\.md"):
        begin(models)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("stable = 3", "tiny-text/aliases.toml: stable: there is no version 3"), ("stable = 0", "stable: should be")],
)
def test_an_alias_that_is_wrong_refuses_the_start(models: Path, text: str, problem: str) -> None:
    alias(models, text)
    spoil(models / "tiny-text" / "1")
    with pytest.raises(StartupError) as caught:
        begin(models)
    assert problem in caught.value.message
    assert "bundle tiny-text/1: card.md" in caught.value.message


@pytest.mark.parametrize(
    ("name", "most", "told"),
    [
        ("max_models", 3, "4 versions are to be served, --max-models allows 3"),
        ("max_model_bytes", 10_000, "the bundles to be served have [0-9]+ bytes, --max-model-bytes allows 10000"),
    ],
)
def test_more_than_may_be_in_memory_refuses_the_start(models: Path, name: str, most: int, told: str) -> None:
    with pytest.raises(StartupError, match=rf"{told}: serve fewer with --versions, or allow more"):
        begin(models, **{name: most})


def test_who_watches_leaves_out_what_is_broken_for_an_older_version(models: Path) -> None:
    spoil(models / "tiny-text" / "10")
    alias(models, "stable = 10\ncanary = 2\n")
    (models / "tiny-text" / "v3").mkdir()
    registry, said = begin(models, watch=True, versions=1)
    assert repr(registry) == "Registry(tiny-digits@1, tiny-text@2)"
    assert registry.aliases == {"tiny-text": {"canary": 2}}
    residents = Residents[LoadedModel](registry.models)
    first_load.tell(registry, residents)
    with pytest.raises(ModelLoading):
        residents.find("tiny-text@stable")
    assert list(registry.failures) == [("tiny-text", 10)]
    (line,) = [line for line in said if line["msg"] == "model load failed"]
    assert (line["level"], line["model"], line["model_version"]) == ("error", "tiny-text", 10)
    assert line["reason"] == "refused"
    assert "card.md" in str(line["problem"])


class Loads:
    """Loads nothing, says what it was asked for, and hears what becomes of it."""

    def __init__(self, registry: Registry) -> None:
        self.asked: list[str] = []
        self.left_out: list[str] = []
        self.left_over: list[Key] = []
        self.hangs: set[Key] = set()
        self.most = 99
        self._registry = registry

    def find(self, name: str, version: int | None) -> Found:
        return Found((name, version or 0), Path(), "")

    def announced(self, found: Found) -> Announced:
        return Announced("", 0)

    def load(self, found: Found, announced: Announced, leash: Leash) -> LoadedModel:
        if found.key[0] == "broken":
            raise BundleError("bundle broken/1: it is")
        if found.key[0] == "faulty":
            raise ZeroDivisionError("a fault of ours")
        if found.key in self.hangs:
            raise LoadTooLong("it takes for ever")
        return self._registry.find("{}@{}".format(*found.key))

    @property
    def late(self) -> bool:
        return len(self.asked) >= self.most

    def later(self, keys: Sequence[Key]) -> None:
        self.left_over += keys

    def begins(self, bundle: str) -> None:
        self.asked.append(bundle)

    def loaded(self, model: LoadedModel | Rehearsed) -> None:
        """It is."""

    def failed(self, key: Key, error: Exception) -> None:
        self.left_out.append(f"{key[0]}@{key[1]} {error}")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("sound")
    for version in (1, 2):
        stepper(version=version, seed=version).write(folder)
    return begin(folder)[0]


def watched(models: Path, sound: Registry, loads: Loads | None = None, **settings: object) -> tuple[Registry, Loads]:
    loads = loads or Loads(sound)
    config = Config.model_validate({"models": models, "watch": True, **settings})
    return first_load.all_that_can_be(config, loads, loads), loads


@pytest.fixture
def three(tmp_path: Path) -> Path:
    for version in (1, 2):
        stepper(version=version, seed=version).write(tmp_path)
    stepper("broken").write(tmp_path)
    return tmp_path


def test_there_is_room_for_the_most_important(three: Path, sound: Registry) -> None:
    registry, loads = watched(three, sound, max_models=1)
    assert repr(registry) == "Registry(tiny-text@2)"
    assert loads.asked == ["broken/1", "tiny-text/2"]
    assert loads.left_out[1].startswith("tiny-text@1 1 models are in memory, the most is 1")
    known = begun(registry)
    assert (list(known.failed), list(known.full)) == ([("broken", 1)], [("tiny-text", 1)])


def test_what_is_not_whole_is_left_to_the_watch(three: Path, sound: Registry) -> None:
    (three / "tiny-text" / "2" / "step.onnx").unlink()
    registry, loads = watched(three, sound, versions=1)
    assert repr(registry) == "Registry(tiny-text@1)"
    assert loads.asked == ["broken/1", "tiny-text/1"]
    assert loads.left_out == ["broken@1 bundle broken/1: it is"]
    assert list(registry.failures) == [("broken", 1)]


def test_what_takes_too_long_for_a_start_is_left_to_the_watch(three: Path, sound: Registry) -> None:
    loads = Loads(sound)
    loads.hangs = {("tiny-text", 2)}
    registry, _ = watched(three, sound, loads, versions=1)
    assert loads.asked == ["broken/1", "tiny-text/2", "tiny-text/1"]
    assert (repr(registry), loads.left_over) == ("Registry(tiny-text@1)", [("tiny-text", 2)])
    assert list(registry.failures) == [("broken", 1)]


def test_what_a_start_has_no_time_for_is_left_to_the_watch(three: Path, sound: Registry) -> None:
    loads = Loads(sound)
    loads.most = 2
    registry, _ = watched(three, sound, loads)
    assert (repr(registry), loads.left_over) == ("Registry(tiny-text@2)", [("tiny-text", 1)])
    assert list(registry.failures) == [("broken", 1)]


def test_a_start_is_over_before_probes_take_it_for_dead(tmp_path: Path) -> None:
    now = [5.0]
    with closing(
        FirstLoader(tmp_path, Runtime(RuntimeOptions(provider="cpu")), Batching(max_batch=4), lambda: now[0])
    ) as first:
        while not first.late:  # whatever is loaded hangs
            now[0] += first.bounds.seconds
            longest = first.bounds.seconds
        assert 30 < longest * 8 < now[0] < 5 + FIRST_SECONDS < 180


def test_a_fault_of_ours_leaves_out_one_model(three: Path, sound: Registry) -> None:
    stepper("faulty").write(three)
    registry, _ = watched(three, sound)
    assert repr(registry) == "Registry(tiny-text@1, tiny-text@2)"
    residents = Residents[LoadedModel](registry.models)
    first_load.tell(registry, residents)
    problems = {each.name: each.problem for each in residents.statuses if each.state is State.FAILED}
    assert problems == {"broken": "bundle broken/1: it is", "faulty": "the server failed to load it; its log says more"}


def test_an_empty_folder_is_served_by_who_watches(tmp_path: Path, sound: Registry) -> None:
    registry, loads = watched(tmp_path, sound)
    assert (repr(registry), loads.asked) == ("Registry()", [])
    check_models(tmp_path, may_be_empty=True)
    for folder, may_be_empty in ((tmp_path, False), (tmp_path / "nowhere", True)):
        with pytest.raises(StartupError, match="no model in the folder"):
            check_models(folder, may_be_empty=may_be_empty)


def test_a_version_that_cannot_be_looked_into_refuses_the_start_but_of_who_watches(
    three: Path, sound: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refuse(path: Path) -> object:
        if Path(path) == three / "tiny-text" / "2":  # the mode of a folder is nothing to root, as whom tests may run
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StartupError, match=r"bundle tiny-text/2: the folder: cannot be read: Permission denied"):
        begin(three)
    registry, loads = watched(three, sound)
    assert (repr(registry), loads.asked) == ("Registry(tiny-text@1)", ["broken/1", "tiny-text/1"])


def test_a_check_refuses_all_that_is_broken(tmp_path: Path) -> None:
    spoil(stepper().write(tmp_path))
    stepper(version=2).write(tmp_path)
    alias(tmp_path, "stable = 7")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    config = Config(models=tmp_path, provider="cpu", threads=1, watch=True, versions=1)
    with pytest.raises(StartupError) as caught:
        loading.check(config, open_log("error", "json", "0", io.StringIO()))
    problems = caught.value.message.splitlines()
    assert [line.partition(":")[0] for line in problems] == ["gone", "tiny-text/aliases.toml", "bundle tiny-text/1"]


@pytest.mark.parametrize("text", ["default = 2\ncanary = 10\n", "default = \n"], ids=["broken version", "broken file"])
def test_a_restart_gives_a_pinned_name_no_other_version(models: Path, text: str) -> None:
    alias(models, text)
    spoil(models / "tiny-text" / "2")
    registry, _ = begin(models, watch=True)
    residents = Residents[LoadedModel](registry.models)
    first_load.tell(registry, residents)
    with pytest.raises(ModelLoading):
        residents.find("tiny-text")
    assert residents.find("tiny-text@10").version == 10
