"""Held-out nats per character of a character network."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from rhapsode_exporter.data.documents import IGNORED
from rhapsode_exporter.networks.recurrent import CharacterNetwork

CHUNK = 256  # characters at a time
ROWS = 256  # texts at a time, of about the same length


@torch.no_grad()
def nats_per_character(network: CharacterNetwork, texts: Sequence[Tensor]) -> float:
    """Mean negative log-likelihood of the characters of the texts, in float32.

    A text is int [N + 1]: the character before its first one, which is only read, and its characters, each of which
    counts once. It is read with the state carried through to its end.
    """
    was_training = network.training
    network.eval()
    ordered = sorted(texts, key=len)
    total = sum(_nats(network, ordered[begin : begin + ROWS]) for begin in range(0, len(ordered), ROWS))
    network.train(was_training)
    return total / sum(len(text) - 1 for text in texts)


def _nats(network: CharacterNetwork, texts: Sequence[Tensor]) -> float:
    whole = torch.nn.utils.rnn.pad_sequence([text.long() for text in texts], padding_value=IGNORED)  # [T + 1, B]
    inputs, targets = whole[:-1].clamp(min=0), whole[1:]
    state, total = network.fresh_state(len(texts)), 0.0
    for begin in range(0, len(targets), CHUNK):
        part = slice(begin, begin + CHUNK)
        logits, state = network(inputs[part], state)
        losses = F.cross_entropy(logits.flatten(0, 1), targets[part].flatten(), reduction="none")
        total += losses.double().sum().item()
    return total
