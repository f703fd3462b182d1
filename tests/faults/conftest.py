"""A model of texts, for servers of the tests of faults."""

from pathlib import Path

import pytest

from support import bundles


@pytest.fixture(scope="session")
def one_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one tiny model."""
    folder = tmp_path_factory.mktemp("one-model")
    bundles.stepper().write(folder)
    return folder
