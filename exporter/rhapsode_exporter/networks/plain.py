"""Networks with normalised weights made networks with plain ones, which is what an exported graph needs."""

from torch import nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations


def with_plain_weights(network: nn.Module) -> nn.Module:
    """The same network, changed in place: in evaluation mode, every parametrised weight written out as it acts there.

    For the end of a training: torch lets parametrised copies of a network share a class, so copies end too.
    """
    network.eval()
    for module in network.modules():
        if is_parametrized(module, "weight"):
            remove_parametrizations(module, "weight", leave_parametrized=True)
    return network
