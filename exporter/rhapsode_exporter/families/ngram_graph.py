"""What is made with the step of an n-gram model: its graph for a bundle, a passage for people."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rhapsode.v1.bundle_pb2 import GraphRole
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, GraphDraft, StateNames
from rhapsode_exporter.bundle.preview import PASSAGE_TEMPERATURE
from rhapsode_exporter.data.tokens import TokenTexts
from rhapsode_exporter.networks.ngram import NgramStep

INPUT, OUTPUT = "history_in", "history_out"


def step_graph(network: NgramStep, text: NDArray[np.int64]) -> GraphDraft:
    """The step graph; its goldens are places of a held-out text [N], the first one a fresh state."""
    places = np.linspace(network.longest, len(text) - 1, GOLDEN_ROWS).astype(np.int64)
    inputs = {"token": torch.from_numpy(text[places])}
    if not network.longest:
        return GraphDraft(GraphRole.GRAPH_ROLE_STEP, network, inputs, ("logits",))
    history = torch.from_numpy(text[places[:, None] - np.arange(1, network.longest + 1)])
    history[0] = network.vocabulary
    inputs[INPUT] = history
    state = StateNames(INPUT, OUTPUT, float(network.vocabulary))
    return GraphDraft(GraphRole.GRAPH_ROLE_STEP, network, inputs, ("logits", OUTPUT), states=(state,))


@torch.no_grad()
def passage(network: NgramStep, texts: TokenTexts, length: int) -> str:
    """`length` tokens drawn after the start token, the same ones each time; never the unknown one."""
    random = torch.Generator().manual_seed(0)
    token, drawn = torch.tensor([texts.start]), []
    state: tuple[Tensor, ...] = (torch.full((1, network.longest), network.vocabulary),) if network.longest else ()
    for _ in range(length):
        logits, *state = network(token, *state)
        if texts.unknown is not None:
            logits[:, texts.unknown] = -torch.inf
        token = torch.multinomial(torch.softmax(logits / PASSAGE_TEMPERATURE, dim=1), 1, generator=random)[:, 0]
        drawn.append(texts.tokens[int(token)])
    return "".join(drawn)
