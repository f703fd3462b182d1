"""What a bundle says of a character network: its vocabulary and its step graph."""

import torch
from torch import Tensor

from rhapsode.v1.bundle_pb2 import GraphRole, SequenceClass, SequenceSpec, Vocabulary
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, GraphDraft, StateNames
from rhapsode_exporter.data.corpus import START, Corpus
from rhapsode_exporter.networks.recurrent import CharacterNetwork, StepCell, state_names

GOLDEN_CONTEXT = 64


def sequence_spec(corpus: Corpus) -> SequenceSpec:
    """The alphabet, where texts begin and end, and the classes that can be asked for."""
    place = corpus.alphabet.index
    vocabulary = Vocabulary(tokens=corpus.alphabet, start_token=place(corpus.start))
    if corpus.documents:
        vocabulary.end_token = place(START)
    classes = [SequenceClass(name=name, prefix_token_ids=[place(mark)]) for name, mark in corpus.classes.items()]
    return SequenceSpec(vocabulary=vocabulary, classes=classes)


@torch.no_grad()
def step_graph(network: CharacterNetwork, corpus: Corpus) -> GraphDraft:
    """The step graph; its goldens are the states after a stretch of held-out text, the first one a fresh state."""
    text = torch.from_numpy(corpus.ids("".join(corpus.held_out))).long()
    context = min(GOLDEN_CONTEXT, len(text) // 2)
    starts = torch.linspace(0, len(text) - context - 1, GOLDEN_ROWS).long()  # [33]
    places = starts + torch.arange(context + 1)[:, None]  # [context + 1, 33]
    *read, token = text[places]
    token[0] = corpus.alphabet.index(corpus.start)
    _, after = network.eval()(torch.stack(read), network.fresh_state(GOLDEN_ROWS))
    for state in after:
        state[:, 0] = 0.0
    states = [state[layer] for layer in range(network.shape.layers) for state in after]
    names = [StateNames(f"{name}_in", f"{name}_out") for name in state_names(network.shape)]
    inputs: dict[str, Tensor] = {"token": token}
    inputs |= {pair.input: state for pair, state in zip(names, states, strict=True)}
    outputs = ("logits", *(pair.output for pair in names))
    return GraphDraft(GraphRole.GRAPH_ROLE_STEP, StepCell(network), inputs, outputs, states=tuple(names))
