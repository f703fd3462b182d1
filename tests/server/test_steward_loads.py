"""While a version is loaded, only that is done which needs no load first."""

from support.steward_scene import Scene, sight


def rest(scene: Scene) -> None:
    """All settles, and nothing is asked for."""
    for _ in range(3):
        scene.see()


def test_one_is_loaded_at_a_time() -> None:
    scene = Scene(1)
    scene.put(2)
    scene.put(3)
    rest(scene)
    assert scene.steward.next_load() == ("m", 3)
    assert scene.steward.next_load() is None
    scene.steward.failed(("m", 3))
    assert scene.steward.next_load() == ("m", 2)


def test_an_alias_is_moved_to_what_is_served_as_it_lies_there() -> None:
    scene = Scene(1, 2, aliases={"stable": 2})
    scene.put(3)
    scene.name(stable=1)
    rest(scene)
    assert scene.steward.next_load() == ("m", 3)
    assert [(move.alias, move.version) for move in scene.steward.moves()] == [("stable", 1)]


def test_an_alias_waits_for_what_is_loaded_anew_and_goes_after_what_may_take_its_place() -> None:
    scene = Scene(1, 2, aliases={"stable": 1, "old": 1})
    scene.put(2, sight("two"))
    scene.name(stable=2)
    rest(scene)
    assert scene.steward.moves() == []
    assert scene.steward.next_load() == ("m", 2)
    assert scene.steward.moves() == []
    scene.load(2, "two")
    scene.steward.loaded(("m", 2))
    assert [(move.alias, move.version) for move in scene.steward.moves()] == [("old", None), ("stable", 2)]


def test_nothing_is_unloaded_before_what_comes_in_its_place_is_served() -> None:
    scene = Scene(1, newest=1)
    scene.put(2)
    rest(scene)
    assert scene.steward.next_load() == ("m", 2)
    assert scene.steward.unloads() == []
    scene.load(2)
    scene.steward.loaded(("m", 2))
    assert scene.steward.unloads() == [("m", 1)]


def test_what_goes_while_it_is_loaded_and_has_no_room_is_forgotten() -> None:
    scene = Scene(1)
    scene.put(2)
    rest(scene)
    assert scene.steward.next_load() == ("m", 2)
    scene.remove(2)
    rest(scene)
    scene.steward.no_room(("m", 2))
    assert scene.rest() == []
