"""Which versions are in memory, what each is at, and what a reference means: values, without any loading."""

import pytest

from rhapsode_server.errors import ModelInUse, ModelLoading, ModelNotFound, RepositoryFull
from rhapsode_server.repository.residents import MOST_PAST, Key, Residents, State
from rhapsode_server.repository.room import Bounds
from support.shelves import Model

FIRST, SECOND = Model("one", 1, "a"), Model("one", 2, "b")


def of(*models: Model, bounds: Bounds = Bounds()) -> Residents[Model]:  # noqa: B008 - frozen
    return Residents(models, bounds, clock=lambda: 7.0)


def state(residents: Residents[Model], key: Key) -> tuple[State, bool, str]:
    status = residents.status(key)
    return status.state, status.loading, status.digest


def test_a_bare_name_is_the_newest_or_what_default_names() -> None:
    residents = of(SECOND, FIRST)
    assert [residents.find(each) for each in ("one", "one@1", "one@2")] == [SECOND, FIRST, SECOND]
    residents.set_alias("one", "default", 1)
    assert [residents.find(each) for each in ("one", "one@default")] == [FIRST, FIRST]
    for nothing in ("two", "one@3", "one@02", "one@", "one@stable", "one@1@1", ""):
        with pytest.raises(ModelNotFound):
            residents.find(nothing)


def test_a_version_comes_and_goes() -> None:
    residents = of()
    residents.begin(("one", 1), 1)
    assert residents.key("one") == residents.key("one@1") == ("one", 1)
    assert residents.key("one@2") is residents.key("two") is None
    assert state(residents, ("one", 1)) == (State.LOADING, True, "")
    assert residents.ready(FIRST) is None
    assert state(residents, ("one", 1)) == (State.READY, False, "a")
    assert residents.leave(("one", 1)) is FIRST
    assert state(residents, ("one", 1)) == (State.UNLOADING, False, "a")
    residents.gone(FIRST)
    assert state(residents, ("one", 1)) == (State.UNLOADED, False, "")


def test_what_is_replaced_leaves_behind_what_is_served() -> None:
    residents, anew = of(FIRST), Model("one", 1, "c")
    residents.begin(("one", 1), 1)
    assert state(residents, ("one", 1)) == (State.READY, True, "a")
    assert residents.ready(anew) is FIRST
    assert (residents.find("one"), residents.leaving) == (anew, [FIRST])
    residents.leave(("one", 1))
    residents.gone(FIRST)
    assert state(residents, ("one", 1)) == (State.UNLOADING, False, "c")


def test_a_failed_load_leaves_a_problem_until_the_next_good_one() -> None:
    residents = of(FIRST)
    for version in (1, 2):
        residents.begin(("one", version), 1)
        residents.failed(("one", version), "why")
    assert state(residents, ("one", 1)) == (State.READY, False, "a")
    assert state(residents, ("one", 2)) == (State.FAILED, False, "")
    assert [each.problem for each in residents.statuses] == ["why", "why"]
    residents.begin(("one", 1), 1)
    residents.ready(Model("one", 1, "c"))
    assert residents.status(("one", 1)).problem == ""


def test_nothing_is_let_go_that_an_alias_names() -> None:
    residents = of(FIRST, SECOND)
    residents.set_alias("one", "stable", 1)
    for keys in ([("one", 1)], [("one", 2), ("one", 1)]):
        with pytest.raises(ModelInUse):
            residents.leave_all(keys)
    with pytest.raises(ModelNotFound):
        residents.leave_all([("one", 2), ("one", 3)])
    assert residents.served == [FIRST, SECOND]
    residents.set_alias("one", "stable", None)
    assert residents.leave_all([("one", 1), ("one", 2)]) == [FIRST, SECOND]


def test_all_that_takes_memory_counts() -> None:
    residents = of(FIRST, SECOND, bounds=Bounds(models=3))
    residents.leave(("one", 1))
    residents.begin(("two", 1), 1)
    with pytest.raises(RepositoryFull, match="3 models are in memory, the most is 3"):
        residents.begin(("two", 2), 1)
    residents.gone(FIRST)
    residents.begin(("two", 2), 1)
    heavy = of(Model("one", 1, "a", size=60), bounds=Bounds(size=100))
    with pytest.raises(RepositoryFull, match="60 bytes and this one 41, the most is 100"):
        heavy.begin(("one", 1), 41)
    heavy.begin(("one", 1), 40)


def test_what_waits_for_its_turn_is_loading_and_takes_no_room() -> None:
    residents, other = of(FIRST, bounds=Bounds(models=2)), ("two", 1)
    for key in (("one", 2), other, other):
        residents.expect(key)
    assert state(residents, other) == (State.LOADING, True, "")
    assert residents.key("two") == other
    residents.begin(("one", 2), 1)
    residents.ready(SECOND)
    assert not residents.status(("one", 2)).loading
    for still in (True, False):  # asked for twice
        with pytest.raises(RepositoryFull):
            residents.begin(other, 1)
        residents.failed(other, "")
        assert residents.status(other).loading is still
    assert state(residents, other) == (State.UNLOADED, False, "")
    residents.expect(other)
    residents.leave(("one", 2))
    residents.gone(SECOND)
    residents.begin(other, 1)
    residents.ready(Model(*other, "d"))
    assert state(residents, other) == (State.READY, False, "d")


def test_what_is_long_gone_is_forgotten() -> None:
    residents = of(FIRST)
    for version in range(2, MOST_PAST + 100):
        residents.failed(("one", version), "why")
    assert len(residents.statuses) == MOST_PAST + 1
    assert residents.statuses[0].version == 1


def test_each_change_is_told() -> None:
    told: list[Key] = []
    residents = Residents([FIRST, SECOND], changed=told.append)
    told.clear()
    residents.set_alias("one", "stable", 1)
    residents.set_alias("one", "stable", 2)
    assert sorted(told) == [("one", 1), ("one", 1), ("one", 2)]


def test_a_bare_name_that_a_start_cannot_keep_to_its_version_is_held_back() -> None:
    residents = of(FIRST, SECOND)
    residents.awaited.begin({"one": {"default": 7, "stable": 7}}, frozenset())
    for reference in ("one", "one@default", "one@stable"):
        with pytest.raises(ModelLoading, match="version 7"):
            residents.find(reference)
    assert residents.find("one@2") is SECOND
    residents.awaited.say("one", {"default": 7})
    with pytest.raises(ModelLoading):
        residents.find("one")
    residents.set_alias("one", "default", 1)
    assert residents.find("one") is FIRST


def test_a_bare_name_has_its_meaning_where_the_file_pins_it_no_more() -> None:
    residents = of(FIRST, SECOND)
    residents.awaited.begin({"one": {"default": 7}}, frozenset())
    residents.awaited.say("one", {"stable": 7})
    assert residents.find("one") is SECOND
    residents.awaited.say("one", {"default": 7})  # one that comes later changes nothing until it is served
    assert residents.find("one") is SECOND


def test_nobody_guesses_what_a_file_says_that_cannot_be_read() -> None:
    residents = of(FIRST, SECOND)
    residents.awaited.begin({}, frozenset({"one"}))
    for reference in ("one", "one@stable"):
        with pytest.raises(ModelLoading, match="cannot be read"):
            residents.find(reference)
    assert residents.find("one@1") is FIRST
    with pytest.raises(ModelNotFound):
        residents.find("one@3")
    residents.awaited.say("one", {})
    assert residents.find("one") is SECOND
    with pytest.raises(ModelNotFound):
        residents.find("one@stable")
