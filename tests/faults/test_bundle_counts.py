"""What the checks of a graph cost grows no faster than the graph, and a graph of too many parts is not gone through."""

import tracemalloc
from unittest.mock import Mock

import pytest
from onnx import ModelProto, ValueInfoProto, helper

from rhapsode_server.repository import asked_sizes, limits, operators
from support.hostile_graphs import body, whole

FILE = "decode.onnx"


def many_loops(count: int) -> ModelProto:
    """Loops, and as many constants beside them."""
    constants = [helper.make_node("Constant", [], [f"steps{number}"], value=whole("", 3)) for number in range(count)]
    loops = [helper.make_node("Loop", [f"steps{number}", ""], [], body=body([])) for number in range(count)]
    return helper.make_model(helper.make_graph([*constants, *loops], "g", [], []))


def test_what_a_scope_stores_is_gathered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each Loop anew, 65,536 nodes took twenty minutes."""
    gather = Mock(wraps=operators._stored)
    monkeypatch.setattr(operators, "_stored", gather)
    assert list(operators.check(many_loops(20), FILE)) == []
    assert gather.call_count == 21


def test_a_graph_of_too_many_nodes_is_not_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NODES", 50)
    monkeypatch.setattr(operators, "_stored", pytest.fail)
    assert [problem.text for problem in operators.check(many_loops(20), FILE)] == ["has 60 nodes, the most is 50"]


def test_a_graph_has_not_more_graphs_inside_than_it_may() -> None:
    (problem,) = operators.check(many_loops(limits.BODIES + 1), FILE)
    assert (problem.rule, problem.text) == ("G10", "has 1025 graphs inside its nodes, the most is 1024")


def test_graphs_inside_do_not_each_hold_the_names_around_them() -> None:
    """A set of all names for each of 8,000 bodies took 2 GB, from a file of 0.8 MB."""
    model = many_loops(limits.BODIES)
    model.graph.input.extend(ValueInfoProto(name=f"x{number}") for number in range(limits.BODIES))
    tracemalloc.start()
    try:
        assert list(asked_sizes.check(model, FILE)) == []
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()
