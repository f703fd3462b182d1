"""A passage of text written by a character network, to see what it has learned."""

from torch import Tensor

from rhapsode_exporter.networks.recurrent import CharacterNetwork
from rhapsode_exporter.sampling.writers import NetworkWriter
from rhapsode_exporter.sampling.writing import Wanted, write


def write_passage(network: CharacterNetwork, prompt: Tensor, length: int, temperature: float, seed: int) -> list[int]:
    """`length` token ids drawn after `prompt` [N] from softmax(logits / temperature), with randomness of its own."""
    was_training = network.training
    network.eval()
    (passage,) = write(NetworkWriter(network, None), [prompt.tolist()], Wanted(length, temperature), seed)
    network.train(was_training)
    return passage
