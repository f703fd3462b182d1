"""What is commanded holds against the folder of models."""

from support.steward_scene import Scene, sight


def test_a_commanded_unload_holds_until_the_folder_changes() -> None:
    scene = Scene(1, 2, newest=1)
    assert scene.served() == [2]
    scene.unload(2)
    assert scene.rest() == []  # nor does the older one take its place
    scene.put(2, sight(touched=1))
    assert scene.rest() == ["+m@2"]


def test_a_commanded_load_beyond_the_newest_holds_until_its_folder_goes() -> None:
    scene = Scene(1, 2, newest=1)
    scene.load(1)
    assert scene.rest() == []
    scene.put(3)
    assert scene.rest() == ["+m@3", "-m@2"]
    assert scene.served() == [1, 3]
    scene.remove(1)
    assert scene.rest() == ["-m@1"]


def test_an_alias_that_was_moved_by_command_stays_until_the_file_says_another() -> None:
    scene = Scene(1, 2, 3, aliases={"stable": 1})
    scene.residents.set_alias("m", "stable", 2)
    scene.residents.set_alias("m", "mine", 2)
    assert scene.rest() == []
    scene.name(stable=3)
    assert scene.rest() == ["stable=3"]
    assert scene.residents.aliases("m") == {"mine": 2, "stable": 3}


def test_an_unload_holds_though_its_folder_had_not_been_looked_at_for_long_enough() -> None:
    scene = Scene(1)
    scene.put(2)
    scene.load(2)
    scene.unload(2)  # before any look has seen it
    assert scene.rest() == []
    scene.put(3)
    scene.look(0.1)
    scene.load(3)
    scene.look(0.1)
    scene.unload(3)  # before it has settled
    assert scene.rest() == []
    scene.put(3, sight("two"))
    assert scene.rest() == ["+m@3"]


def test_an_unload_right_after_the_start_holds() -> None:
    scene = Scene(1, 2, looked=False)
    scene.unload(2)
    assert scene.rest() == []
    scene.put(2, sight(touched=1))
    assert scene.rest() == ["+m@2"]


def test_an_unload_while_loads_are_decided_upon_holds() -> None:
    scene = Scene(1)
    scene.put(2)
    scene.see()
    scene.see()
    scene.load(2)
    scene.unload(2)
    assert scene.steward.next_load() is None


def test_what_was_unloaded_and_has_changed_since_it_was_loaded_comes_again() -> None:
    scene = Scene(1, 2)
    scene.put(2, sight("two"))
    scene.look(0.1)
    scene.unload(2)
    assert scene.rest() == ["+m@2"]
