"""What is done for what lies in the folder of models, by values: no files, no models, a clock of the test's own."""

import io

import pytest

from rhapsode_server.errors import ModelLoading, ModelNotFound
from rhapsode_server.observe.logs import open_log
from rhapsode_server.repository.residents import Residents
from rhapsode_server.repository.sights import Named, View
from rhapsode_server.serve.remarks import MOST
from rhapsode_server.serve.steward import PATIENCE, Begun, Steward
from support.steward_scene import Model, Scene, sight


def test_what_is_served_as_it_lies_there_is_left_alone() -> None:
    scene = Scene(1, 2)
    assert scene.rest() == []
    assert not scene.steward.unrest()


def test_what_comes_is_loaded_once_it_has_been_the_same_for_a_second() -> None:
    scene = Scene(1)
    scene.put(2, sight(touched=1))
    assert scene.look(0.2) == []
    assert scene.steward.unrest()
    scene.put(2, sight(touched=2))
    assert scene.look(0.9) == []
    assert scene.look(0.9) == []
    assert scene.look(0.2) == ["+m@2"]
    assert scene.rest() == []


def test_what_stays_less_than_whole_for_long_is_taken_for_broken() -> None:
    scene = Scene(1)
    scene.broken.add("half")
    scene.put(2, sight("half", missing="'step.onnx' is missing"))
    assert scene.look() == scene.look(PATIENCE - 1) == []
    assert scene.look(1) == ["!m@2"]
    assert scene.rest() == []


def test_another_bundle_json_is_loaded_anew_while_another_time_is_nothing() -> None:
    scene = Scene(1)
    scene.put(1, sight(touched=9))
    assert scene.rest() == []
    scene.put(1, sight("two"))
    assert scene.rest() == ["+m@1"]


def test_what_failed_is_tried_again_when_its_folder_changes() -> None:
    scene = Scene(1)
    scene.broken.add("bad")
    scene.put(2, sight("bad"))
    assert scene.rest() == ["!m@2"]
    assert scene.look(86_400) == []
    scene.put(2, sight("bad", touched=1))
    assert scene.rest() == ["!m@2"]
    scene.put(2, sight("good", touched=2))
    assert scene.rest() == ["+m@2"]


def test_what_failed_at_the_start_is_not_tried_again_as_it_is() -> None:
    residents: Residents[Model] = Residents()
    steward = Steward(residents, 0, open_log("info", "json", "0", io.StringIO()), Begun({("m", 1): sight("bad")}))
    for now in range(3):
        steward.see(View({("m", 1): sight("bad")}, {}, (), {}), now)
    assert steward.next_load() is None


def test_a_failed_reload_keeps_what_is_served() -> None:
    scene = Scene(1, newest=1)
    scene.broken.add("bad")
    scene.put(1, sight("bad"))
    assert scene.rest() == ["!m@1"]
    assert scene.served() == [1]


def test_what_has_gone_is_unloaded_when_it_has_been_gone_for_a_second() -> None:
    scene = Scene(1, 2)
    scene.remove(1)
    assert scene.look(0.1) == []
    scene.put(1)
    assert scene.rest() == []  # put back: renamed away, and another one renamed to its place
    scene.remove(1)
    assert scene.rest() == ["-m@1"]
    scene.put(1)
    assert scene.rest() == ["+m@1"]


def test_one_that_an_alias_names_is_kept_though_it_has_gone() -> None:
    scene = Scene(1, 2, aliases={"stable": 1})
    scene.remove(1)
    assert scene.rest() == []
    assert len(scene.said("alias keeps version")) == 1
    scene.name(stable=2)
    assert scene.rest() == ["stable=2", "-m@1"]


def test_the_newest_replaces_the_oldest_after_it_is_served() -> None:
    scene = Scene(1, 2, newest=2)
    scene.put(3)
    assert scene.rest() == ["+m@3", "-m@1"]
    scene.remove(3)
    assert scene.rest() == ["+m@1", "-m@3"]


def test_a_broken_newest_costs_no_older_one_its_place() -> None:
    scene = Scene(1, 2, newest=2)
    scene.broken.add("bad")
    scene.put(3, sight("bad"))
    assert scene.rest() == ["!m@3"]
    assert scene.served() == [1, 2]


def test_while_the_newest_is_copied_none_loses_its_place() -> None:
    scene = Scene(1, newest=1)
    scene.put(2, sight(missing="bundle.json is missing"))
    assert scene.rest() == []
    assert scene.served() == [1]


def test_a_version_with_an_alias_keeps_its_place() -> None:
    scene = Scene(1, newest=1, aliases={"stable": 1})
    scene.put(2)
    assert scene.rest() == ["+m@2"]
    scene.name(stable=2)
    assert scene.rest() == ["stable=2", "-m@1"]


def test_an_alias_has_an_old_version_loaded() -> None:
    scene = Scene(2, newest=1)
    scene.put(1)
    assert scene.rest() == []
    scene.name(stable=1)
    assert scene.rest() == ["+m@1", "stable=1"]
    scene.name()
    assert scene.rest() == ["stable=None", "-m@1"]


def test_an_alias_waits_for_its_version() -> None:
    scene = Scene(1, aliases={"stable": 1})
    scene.name(stable=2)
    assert scene.rest() == []
    assert len(scene.said("alias waits for its version")) == 1
    assert scene.residents.find("m@stable").version == 1
    scene.put(2)
    assert scene.rest() == ["+m@2", "stable=2"]
    assert scene.residents.awaited.count == 0


def test_who_asks_for_an_alias_that_waits_is_told_to_come_again() -> None:
    scene = Scene(1)
    scene.name(stable=2)
    scene.rest()
    with pytest.raises(ModelLoading, match=r"m@stable is to name version 2, which is not served yet") as caught:
        scene.residents.find("m@stable")
    assert caught.value.seconds
    for other in ("m@canary", "m@2", "n@stable"):
        with pytest.raises(ModelNotFound):
            scene.residents.find(other)
    scene.folder = None
    scene.rest()
    assert scene.residents.awaited.count == 1
    scene.folder, scene.files = {("other", 1): sight()}, {}
    assert "-m@1" in scene.rest()
    assert scene.residents.awaited.count == 0


def test_a_file_of_aliases_that_cannot_be_read_changes_nothing() -> None:
    scene = Scene(1, 2, aliases={"stable": 1})
    scene.files["m"] = Named(problem="m/aliases.toml: is no TOML")
    assert scene.rest() == []
    assert len(scene.said("aliases not read")) == 1
    scene.name(stable=2)
    assert scene.rest() == ["stable=2"]


def test_a_folder_that_has_gone_or_is_empty_unloads_nothing() -> None:
    scene = Scene(1, 2, aliases={"stable": 1})
    before, scene.folder = scene.folder, None
    assert scene.rest() == []
    scene.folder, files = {}, scene.files
    scene.files = {}
    assert scene.rest() == []
    assert len(scene.said("models folder away")) == 1
    scene.folder, scene.files = before, files
    assert scene.rest() == []
    assert len(scene.said("models folder back")) == 1
    scene.remove(2)
    assert scene.rest() == ["-m@2"]


def test_a_model_whose_folder_cannot_be_read_is_left_alone() -> None:
    scene = Scene(1, 2, aliases={"stable": 1})
    scene.folder, scene.files = {("other", 1): sight()}, {}
    scene.unread = {"m": "Permission denied"}
    assert scene.rest() == ["+other@1"]
    assert scene.look(86_400) == []
    assert scene.served() == [1, 2, 1]
    assert len(scene.said("model folder unread")) == 1


def test_a_model_that_is_removed_with_its_aliases_goes() -> None:
    scene = Scene(1, aliases={"stable": 1})
    scene.folder, scene.files = {("other", 1): sight("x", missing="bundle.json is missing")}, {}
    assert scene.rest() == ["stable=None", "-m@1"]


def test_a_strange_name_is_told_once() -> None:
    scene = Scene(1)
    scene.strange = ["m/v2"]
    assert scene.rest() == []
    assert [line["folder"] for line in scene.said("no name of a model or version")] == ["m/v2"]


def test_any_number_of_strange_names_is_told_once() -> None:
    scene = Scene(1)
    scene.strange = [f"Bad{number}" for number in range(3000)]
    scene.rest()
    scene.rest()
    assert len(scene.said("no name of a model or version")) == MOST
    assert len(scene.said("more oddities than are said")) == 1
    scene.strange = ["m/v2"]
    scene.rest()
    assert scene.said("no name of a model or version")[-1]["folder"] == "m/v2"
    scene.strange = [f"Bad{number}" for number in range(3000)]
    scene.rest()
    assert len(scene.said("more oddities than are said")) == 2


def test_a_link_that_leads_nowhere_is_told_once() -> None:
    scene = Scene(1)
    for now in (9, 10):
        scene.steward.see(View(dict(scene.folder or {}), scene.files, (), {}, ["m/7"]), now)
    assert [line["folder"] for line in scene.said("link leads nowhere")] == ["m/7"]
