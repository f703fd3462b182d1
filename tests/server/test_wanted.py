"""Which versions should be served, by values."""

from collections.abc import Mapping

import pytest

from rhapsode_server.repository.wanted import wanted

THREE = [("a", 1), ("a", 2), ("a", 10), ("b", 1)]


@pytest.mark.parametrize(
    ("newest", "aliases", "expected"),
    [
        (0, {}, ["a@10", "b@1", "a@2", "a@1"]),
        (1, {}, ["a@10", "b@1"]),
        (2, {}, ["a@10", "b@1", "a@2"]),
        (99, {}, ["a@10", "b@1", "a@2", "a@1"]),
        (1, {"a": {"stable": 1}}, ["a@1", "a@10", "b@1"]),
        (1, {"a": {"stable": 1, "canary": 10}}, ["a@10", "a@1", "b@1"]),
        (2, {"a": {"stable": 2}}, ["a@2", "a@10", "b@1"]),
        (1, {"a": {"stable": 7}, "c": {"stable": 1}}, ["a@10", "b@1"]),  # which are not there
    ],
)
def test_the_newest_are_wanted_besides_those_with_an_alias(
    newest: int, aliases: Mapping[str, Mapping[str, int]], expected: list[str]
) -> None:
    assert [f"{name}@{version}" for name, version in wanted(THREE, aliases, newest)] == expected


def test_of_nothing_nothing_is_wanted() -> None:
    assert wanted([], {"a": {"stable": 1}}, 0) == []
