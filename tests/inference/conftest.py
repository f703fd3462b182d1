"""Loaded models for the tests of the Open Inference Protocol."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support import bundles
from support.server import Loaded, Running, load, running


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """A decoder and its encoder, a decoder with classes, a step with states, critics."""
    folder = tmp_path_factory.mktemp("models")
    bundles.write_all(folder)
    return load(folder)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(graphs: Loaded) -> AsyncIterator[Running]:
    async with running(graphs) as started:
        yield started
