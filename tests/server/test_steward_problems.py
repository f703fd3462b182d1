"""What is wrong with a version is told while it is so, and no longer; by values, as in test_steward."""

from rhapsode_server.repository.residents import Key, State
from support.steward_scene import Scene, sight


def test_what_is_not_whole_is_waited_for() -> None:
    scene = Scene(1)
    scene.put(2, sight(missing="'step.onnx' is missing"))
    assert scene.rest() == []
    (line,) = scene.said("bundle waited for")
    assert (line["model"], line["model_version"], line["reason"]) == ("m", 2, "'step.onnx' is missing")
    status = scene.residents.status(("m", 2))
    assert (status.state, status.problem) == (State.UNLOADED, "waited for: 'step.onnx' is missing")
    told: list[Key] = []
    scene.residents.changed = told.append
    assert scene.rest() == []
    assert told == []
    scene.put(2, sight(touched=1))
    assert scene.rest() == ["+m@2"]
    assert scene.residents.status(("m", 2)).problem == ""
    scene.put(3, sight(missing="bundle.json is missing"))
    scene.rest()
    scene.remove(3)
    scene.rest()
    assert scene.residents.status(("m", 3)).problem == ""


def test_what_failed_and_has_gone_is_forgiven() -> None:
    scene = Scene(1)
    scene.residents.begin(("m", 2), 1)
    scene.residents.failed(("m", 2), "broken")
    scene.broken.add("bad")
    scene.put(2, sight("bad"))
    assert scene.rest() == ["!m@2"]
    assert scene.residents.status(("m", 2)).state is State.FAILED
    scene.remove(2)
    scene.rest()
    assert scene.residents.status(("m", 2)).state is State.UNLOADED


def test_what_failed_by_command_and_has_gone_is_forgiven() -> None:
    scene = Scene(1)
    scene.residents.failed(("m", 2), "broken")
    scene.unread = {"m": "Permission denied"}
    scene.folder = {("other", 1): sight()}
    scene.rest()
    assert scene.residents.status(("m", 2)).state is State.FAILED  # it may lie there
    scene.unread = {}
    scene.put(1)
    scene.rest()
    assert scene.residents.status(("m", 2)).state is State.UNLOADED


def test_a_problem_of_what_is_served_ends_with_its_cause() -> None:
    scene = Scene(1)
    before = sight()
    scene.broken.add("bad")
    scene.put(1, sight("bad"))
    assert scene.rest() == ["!m@1"]
    scene.put(1, before)  # the good one is moved back
    assert scene.rest() == ["+m@1"]
    assert scene.residents.status(("m", 1)).problem == ""
    assert scene.rest() == []


def test_a_problem_by_command_ends_when_what_is_loaded_after_a_change_is_sound() -> None:
    scene = Scene(1)
    scene.put(1, sight(touched=1))  # damaged under the same bundle.json
    assert scene.rest() == []
    scene.residents.failed(("m", 1), "broken")
    assert scene.rest() == []
    scene.put(1, sight(touched=2))
    assert scene.rest() == ["+m@1"]
    assert scene.residents.status(("m", 1)).problem == ""
