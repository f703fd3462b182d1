"""A graph whose shapes grow on their way is refused before inference writes them down."""

from collections.abc import Iterator

import pytest
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from rhapsode_server.repository import limits, shape_work
from support.hostile_graphs import body, whole

FILE = "step.onnx"


def chain(operator: str, count: int, *inputs: str, first: str = "v0") -> Iterator[NodeProto]:
    """Nodes of which each takes the one before, for each "" among its inputs."""
    for number in range(count):
        taken = [name or (f"v{number}" if number else first) for name in inputs]
        yield helper.make_node(operator, taken, [f"v{number + 1}"], name=f"n{number}")


def model(*nodes: NodeProto) -> ModelProto:
    given = [helper.make_tensor_value_info("x", TensorProto.INT64, ["batch", 4])]
    return helper.make_model(helper.make_graph([*nodes], "g", given, [], [whole("one", 0)]))


def shape() -> NodeProto:
    return helper.make_node("Shape", ["x"], ["v0"])


def told(*nodes: NodeProto) -> list[str]:
    return [str(problem) for problem in shape_work.check(model(*nodes), FILE)]


GROWING: dict[str, list[NodeProto]] = {
    "shapes that double": [shape(), *chain("Concat", 40, "", "")],
    "shapes that grow by two": [shape(), *chain("Concat", 4000, "", "v0")],
    "axes that double": [*chain("Gather", 40, "", "", first="x")],
    "axes that grow by one": [*chain("Unsqueeze", 4000, "", "one", first="x")],
    "in a body": [
        helper.make_node("Loop", ["one", ""], [], body=body([*chain("Gather", 40, "", "", first="x")])),
    ],
    "from loop to loop": [
        helper.make_node(
            "Loop",
            ["one", "", f"y{number}" if number else "x"],
            [f"y{number + 1}"],
            body=helper.make_graph(
                [helper.make_node("Gather", ["in", "in"], ["out"])],
                "body",
                [ValueInfoProto(name=name) for name in ("number", "going", "in")],
                [ValueInfoProto(name="out")],
            ),
        )
        for number in range(40)
    ],
}


@pytest.mark.parametrize("nodes", GROWING.values(), ids=GROWING)
def test_shapes_that_grow_are_refused(nodes: list[NodeProto]) -> None:
    assert told(*nodes) == [f"{FILE}: has shapes of more than 4194304 numbers in all (docs/bundle.md, G10)"]


def test_a_type_is_not_copied_from_node_to_node_however_long_it_is() -> None:
    asked = model()
    asked.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "b" * 10_000
    (problem,) = shape_work.check(asked, FILE)
    assert "has a type of" in problem.text
    asked.graph.input.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1] * (limits.AXES + 1)))
    assert len([*shape_work.check(asked, FILE)]) == 2


def test_a_table_may_be_looked_up_again_and_again() -> None:
    assert told(*chain("Gather", 1000, "", "", first="one")) == []


def test_as_many_nodes_as_may_be_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them a little shape arithmetic, as exporters write it; a sixteenth of both."""
    monkeypatch.setattr(limits, "SHAPE_NUMBERS", limits.SHAPE_NUMBERS // 16)
    parts = [
        part
        for number in range(limits.NODES // 8 // 16)
        for part in (
            helper.make_node("Shape", ["x"], [f"shape{number}"]),
            helper.make_node("Gather", [f"shape{number}", "one"], [f"size{number}"]),
            helper.make_node("Unsqueeze", [f"size{number}", "one"], [f"more{number}"]),
            helper.make_node("Concat", [f"more{number}"] * 4, [f"asked{number}"]),
            helper.make_node("Reshape", ["x", f"asked{number}"], [f"formed{number}"]),
            helper.make_node("MatMul", [f"formed{number}"] * 2, [f"made{number}"]),
            helper.make_node("Unsqueeze", [f"made{number}", "one"], [f"wide{number}"]),
            helper.make_node("Squeeze", [f"wide{number}", "one"], [f"back{number}"]),
        )
    ]
    assert told(*parts) == []
