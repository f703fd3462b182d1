"""Held-out nats per character of a character network."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from rhapsode_exporter.networks.recurrent import CharacterNetwork

CHUNK = 256


@torch.no_grad()
def nats_per_character(network: CharacterNetwork, texts: Sequence[Tensor], start: int) -> float:
    """Mean negative log-likelihood of all characters of the texts (each int [N]), in float32.

    Every text is read from its first character on with the state carried through to its end; before the first
    character stands `start`, so that every character counts once.
    """
    was_training = network.training
    network.eval()
    lengths = torch.tensor([len(text) for text in texts])
    targets = torch.nn.utils.rnn.pad_sequence([text.long() for text in texts], padding_value=start)  # [T, B]
    inputs = torch.cat((torch.full_like(targets[:1], start), targets[:-1]))
    counted = torch.arange(len(targets))[:, None] < lengths  # [T, B]
    state, total = network.fresh_state(len(texts)), 0.0
    for begin in range(0, len(targets), CHUNK):
        part = slice(begin, begin + CHUNK)
        logits, state = network(inputs[part], state)
        losses = F.cross_entropy(logits.flatten(0, 1), targets[part].flatten(), reduction="none")
        total += losses.double()[counted[part].flatten()].sum().item()
    network.train(was_training)
    return total / int(lengths.sum())
