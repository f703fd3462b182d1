"""The demonstration's server starts, stops and says why it cannot."""

from pathlib import Path

import pytest
from benchmarks.cost import cpu_seconds
from deploy.local_server import LocalServer, ServerFailedError, running_server

from support import bundles

ON_CPU = "--provider=cpu"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    bundles.write_all(folder)
    return folder


def test_a_server_ends_with_its_block(models: Path, tmp_path: Path) -> None:
    with running_server(models, tmp_path / "log", ON_CPU) as server:
        assert cpu_seconds(server.process_id) > 0
    assert not Path(f"/proc/{server.process_id}").exists()


def test_a_server_ends_with_an_error_in_its_block(models: Path, tmp_path: Path) -> None:
    seen: list[LocalServer] = []

    def interrupted() -> None:
        with running_server(models, tmp_path / "log", ON_CPU) as server:
            seen.append(server)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not Path(f"/proc/{seen[0].process_id}").exists()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    failing = running_server(tmp_path / "none", tmp_path / "log")
    with pytest.raises(ServerFailedError, match="before it was ready"), failing:
        pass
