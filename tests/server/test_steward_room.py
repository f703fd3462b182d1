"""What there was no room for in memory is tried again when there may be some, and not before."""

from support.steward_scene import Model, Scene


def test_what_there_was_no_room_for_at_the_start_is_tried_again_when_there_may_be() -> None:
    scene = Scene(1, 2, full=[3])
    assert scene.rest() == []
    scene.unload(1)
    assert scene.rest() == ["+m@3"]


def test_what_there_was_no_room_for_is_tried_again_when_there_may_be() -> None:
    scene = Scene(1, 2)
    scene.put(3)
    scene.see()
    scene.see()
    assert scene.steward.next_load() == ("m", 3)
    scene.steward.no_room(("m", 3))
    assert scene.rest() == []
    scene.unload(1)
    assert scene.look() == ["+m@3"]


def test_what_there_was_no_room_for_is_tried_again_when_what_was_leaving_has_left_memory() -> None:
    scene = Scene(1)
    old = scene.residents.served[0]
    scene.residents.ready(Model("m", 1, "one"))  # loaded anew; a stream has the old one
    scene.put(2)
    scene.full = True
    assert scene.rest() == ["?m@2"]
    scene.residents.gone(old)
    assert scene.look() == ["?m@2"]
    assert scene.rest() == []


def test_what_leaves_memory_while_a_load_is_refused_is_not_missed() -> None:
    scene = Scene(1)
    old = scene.residents.served[0]
    scene.residents.ready(Model("m", 1, "one"))
    scene.put(2)
    scene.see()
    scene.see()
    assert scene.steward.next_load() == ("m", 2)
    scene.residents.gone(old)
    scene.steward.no_room(("m", 2))
    assert scene.look() == ["+m@2"]
