"""Settings for all tests of the exporter."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Small networks gain nothing from threads, and waiting for each other costs them dearly on a busy machine."""
    torch.set_num_threads(1)
