"""A text model that knows one text by heart."""

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto, helper

from support import bundles, graphs

SURE = 60.0  # the logit of what comes next, among zeros


def speller(name: str, text: Sequence[str], tokens: Sequence[str]) -> bundles.Draft:
    """A model that counts its tokens, and after n of them says one of the characters of text[n - 1], each as likely.

    The first token, which is "\\n", is what its text begins after. `text` has a string of characters for each place.
    """
    table = np.zeros((len(text) + 1, len(tokens)), np.float32)
    for place, choices in enumerate(text, 1):
        table[place, [tokens.index(character) for character in choices]] = SURE
    draft = bundles.stepper(name, tokens=tokens)
    weights: graphs.Weights = {
        "one": np.ones((1, 1), np.float32),
        "first": np.array(0, np.float32),
        "last": np.array(len(text), np.float32),
        "axis": np.array([1], np.int64),
        "table": table,
        "nothing": np.zeros((len(tokens), 1), np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["nothing", "token"], ["ignored"]),
        helper.make_node("Add", ["place_in", "one"], ["next"]),
        helper.make_node("Add", ["next", "ignored"], ["place_out"]),
        helper.make_node("Clip", ["place_out", "first", "last"], ["bounded"]),
        helper.make_node("Squeeze", ["bounded", "axis"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "index"], ["logits"]),
    ]
    inputs = [graphs.integers("token"), graphs.floats("place_in", 1)]
    outputs = [graphs.floats("logits", len(tokens)), graphs.floats("place_out", 1)]
    draft.graphs[bundles.STEP] = graphs.model(nodes, inputs, outputs, weights)
    del draft.bundle.graphs[:]
    draft.bundle.graphs.append(bundles.declare(bundles.STEP, draft.graphs[bundles.STEP]))
    draft.graph(bundles.STEP).states.add(input="place_in", output="place_out")
    return draft
