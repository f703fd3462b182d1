"""Stock tritonclient, which knows nothing of Rhapsode, against a server that is a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import bundles
from support.server import clean_environment, process

PROGRAM = Path(__file__).with_name("stock_client.py")
ANSWERED = 1 + 65 + 16 + 5


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("models")
    bundles.autoencoder().write(folder)
    bundles.grey_generator().write(folder)
    with process(folder, "--model-control", "clients") as server:
        words = [sys.executable, str(PROGRAM), server.address]
        done = subprocess.run(words, env=clean_environment(), capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        assert server.stop() == 0
    return json.loads(done.stdout)


def test_it_lets_a_model_go_and_loads_it_again(told: Any) -> None:
    assert told["lifecycle"] == {
        "gone": [False, False],
        "state": "UNAVAILABLE",
        "back": [True, True],
        "refused": "StatusCode.INVALID_ARGUMENT",
    }


def test_it_reads_what_there_is(told: Any) -> None:
    described = told["described"]
    assert (described["live"], described["ready"], described["nobody"]) == (True, True, False)
    assert {"statistics", "model_repository"} <= set(described["extensions"])
    assert described["inputs"] == [{"name": "latent", "datatype": "FP32", "shape": ["-1", "8"]}]
    assert (described["max_batch_size"], described["dims"]) == (16, ["8"])


def test_it_infers(told: Any) -> None:
    inferred = told["inferred"]
    assert (inferred["id"], inferred["shape"]) == ("one", [2, 3, 8, 8])
    assert inferred["sum"]
    assert inferred["refused"] == "StatusCode.INVALID_ARGUMENT"


def test_it_streams(told: Any) -> None:
    streamed = told["streamed"]
    assert streamed["ids"] == list(range(65))
    assert streamed["final"]
    (error,) = streamed["errors"]
    assert "must have 1 to 16 rows" in error


def test_it_awaits(told: Any) -> None:
    assert told["awaited"] == {"replies": 16, "ids": [str(number) for number in range(5)]}


def test_it_reads_statistics(told: Any) -> None:
    counted = told["counted"]
    assert counted["version"] == "1"
    assert (counted["success"], counted["queue"], counted["fail"]) == (ANSWERED, ANSWERED, 2)
    assert counted["rows"] == counted["by_size"] == ANSWERED + 1
    assert 0 < counted["runs"] <= counted["rows"]
    assert counted["compute"] > 0
