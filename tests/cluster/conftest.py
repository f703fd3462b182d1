"""One server under the eyes of one Prometheus, for the tests of rules and of the dashboard."""

import shutil
from collections.abc import Iterator

import pytest

from support.scene import Scene, scene


@pytest.fixture(scope="session", name="scene")
def watched_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A server after some requests, watched."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus (Debian's package) is not installed")
    with scene(tmp_path_factory.mktemp("models")) as found:
        yield found
