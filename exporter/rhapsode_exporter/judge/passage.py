"""A passage of text written by a character network, to see what it has learned."""

import torch
from torch import Tensor

from rhapsode_exporter.networks.recurrent import CharacterNetwork


@torch.no_grad()
def write_passage(network: CharacterNetwork, prompt: Tensor, length: int, temperature: float, seed: int) -> list[int]:
    """`length` token ids drawn after `prompt` [N] from softmax(logits / temperature), with randomness of its own."""
    was_training = network.training
    network.eval()
    random = torch.Generator().manual_seed(seed)
    tokens, state, drawn = prompt[:, None], network.fresh_state(1), []
    for _ in range(length):
        logits, state = network(tokens, state)
        tokens = torch.multinomial(torch.softmax(logits[-1] / temperature, dim=-1), 1, generator=random)
        drawn.append(int(tokens))
    network.train(was_training)
    return drawn
