"""What is the same for long enough has settled."""

from rhapsode_server.repository.settling import Settling


def test_what_was_the_same_for_so_long_has_settled() -> None:
    settling = Settling[str, int](1.0)
    assert settling.see({"a": 1}, 0.0) == {}
    assert settling.unrest()
    assert settling.see({"a": 1}, 0.5) == {}
    assert settling.see({"a": 1, "b": 1}, 1.0) == {"a": 1}
    assert settling.see({"a": 1, "b": 1}, 2.0) == {"a": 1, "b": 1}
    assert not settling.unrest()
    assert settling.rest("a") == 2.0


def test_a_change_begins_anew() -> None:
    settling = Settling[str, int](1.0)
    settling.see({"a": 1}, 0.0)
    assert settling.see({"a": 2}, 5.0) == {}
    assert settling.see({"a": 2}, 6.0) == {"a": 2}


def test_what_comes_back_begins_anew() -> None:
    settling = Settling[str, int](1.0)
    settling.see({"a": 1}, 0.0)
    settling.see({}, 1.0)
    assert settling.see({"a": 1}, 2.0) == {}


def test_of_nothing_there_is_no_unrest() -> None:
    assert not Settling[str, int](1.0).unrest()
