"""What stands between the benchmark and its rivals does the same work as we do, and says why it cannot."""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from benchmarks.cases import IMAGES_1, TEXT_64
from benchmarks.rivals import rivals, starting
from benchmarks.rivals.continuous import ContinuousBatcher
from benchmarks.rivals.environments import python_of, requirements
from benchmarks.rivals.errors import RivalFailedError
from benchmarks.rivals.graphs import Decoder, Floats, States, Stepper, Tokens, draw, uniforms
from benchmarks.rivals.load import Load, Taken
from benchmarks.rivals.mlserver_folder import write_folder
from benchmarks.rivals.processes import end, family, family_cpu_seconds
from benchmarks.rivals.rivals import RIVALS, Rival, measure
from benchmarks.rivals.serving import Serving, read

from house.project import ROOT
from rhapsode_server.models.sampling import Sampling, sample
from support import bundles

NOTHING = "import sys; sys.stdin.read()"
ANSWER = """
import sys
from benchmarks.rivals.load import Load, Taken
for line in sys.stdin:
    load = Load.read(line)
    print(Taken(2.0, 0.5, (0.25,) * load.requests, (1.0,) * load.requests).line(), flush=True)
    sys.exit({code})
"""


class WatchedStepper(Stepper):
    """Remembers how many rows each step had."""

    def __init__(self, models: Path, name: str) -> None:
        super().__init__(models, name)
        self.rows: list[int] = []

    def step(self, tokens: Tokens, states: States) -> tuple[Floats, States]:
        self.rows.append(len(tokens))
        return super().step(tokens, states)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    bundles.write_all(folder)
    return folder


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    return Serving(tmp_path / "models", ["tiny-text"], ["tiny-digits"], 1, 2, tmp_path / "work")


@contextlib.contextmanager
def python(code: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


async def written(batcher: ContinuousBatcher, seed: int, count: int, tokens_a_message: int = 1) -> list[list[int]]:
    return [tokens async for tokens in batcher.stream(uniforms(seed, count), tokens_a_message)]


def test_rivals_draw_the_tokens_that_we_draw() -> None:
    rng = np.random.default_rng(1)
    logits = rng.standard_normal((500, 40), dtype=np.float32) * 3
    column = rng.random(500, dtype=np.float32)
    ours = sample(logits, [Sampling()] * 500, [None] * 500, column)
    assert draw(logits, column).tolist() == ours.tolist()
    assert len(set(ours.tolist())) > 20


def test_a_decoder_takes_its_sizes_from_the_bundle(models: Path) -> None:
    decoder = Decoder(models, "tiny-digits")
    assert decoder.decode(np.zeros((3, decoder.latent_size), dtype=np.float32)).shape == (3, *decoder.picture_shape)


async def test_texts_in_company_are_those_alone(models: Path) -> None:
    batcher = ContinuousBatcher(Stepper(models, "tiny-text"))
    alone = [await written(batcher, seed, 5 + seed) for seed in range(8)]
    company = await asyncio.gather(*(written(batcher, seed, 5 + seed) for seed in range(8)))
    assert company == alone
    assert len({str(one) for one in alone}) == 8


async def test_the_first_token_is_a_message_of_its_own(models: Path) -> None:
    batcher = ContinuousBatcher(Stepper(models, "tiny-text"))
    messages = await written(batcher, 1, 10, tokens_a_message=4)
    assert [len(tokens) for tokens in messages] == [1, 4, 4, 1]
    assert [[token] for tokens in messages for token in tokens] == await written(batcher, 1, 10)


async def test_a_reader_that_leaves_hurts_nobody(models: Path) -> None:
    stepper = WatchedStepper(models, "tiny-text")
    batcher = ContinuousBatcher(stepper)
    expected = await written(batcher, 2, 30)
    staying = asyncio.create_task(written(batcher, 2, 30))
    leaving = batcher.stream(uniforms(3, 1_000_000), 1)
    assert len(await anext(leaving)) == 1
    await leaving.aclose()
    assert await staying == expected
    stepper.rows.clear()
    assert await written(batcher, 2, 30) == expected
    assert stepper.rows == [1] * 30


def test_the_cpu_time_of_children_counts() -> None:
    child = (
        "import time\nwhile time.process_time() < 0.1: pass\nprint('spent', flush=True); import sys; sys.stdin.read()"
    )
    with python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])") as process:
        assert process.stdout
        assert process.stdout.readline() == "spent\n"
        found = family(process.pid)
        assert len(found) == 2
        assert family_cpu_seconds(process.pid) - family_cpu_seconds(found[1]) > 0
        assert family_cpu_seconds(found[1]) > 0.05
        end(found)
        assert process.wait() < 0


def test_a_server_is_told_by_flags(serving: Serving) -> None:
    assert read(serving.flags()) == serving


def test_mlserver_is_told_by_files(serving: Serving) -> None:
    write_folder(serving)
    settings = json.loads((serving.workspace / "settings.json").read_text("utf-8"))
    images = json.loads((serving.workspace / "tiny-digits" / "model-settings.json").read_text("utf-8"))
    assert (settings["parallel_workers"], settings["grpc_port"]) == (0, 1)
    assert (images["name"], images["max_batch_size"]) == ("tiny-digits", 64)
    assert Path(images["parameters"]["uri"]).is_absolute()


@pytest.mark.parametrize("rival", RIVALS)
def test_a_rival_is_pinned_with_the_runtime_that_we_use(rival: str) -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", requirements(rival).read_text("utf-8"), re.MULTILINE))
    ours = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE))
    assert {name: pins[name] for name in ("onnxruntime-gpu", "grpcio")} == {
        name: ours[name] for name in ("onnxruntime-gpu", "grpcio")
    }
    assert {"uvloop", "tritonclient"} < pins.keys()


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    home = tmp_path / "mlserver"
    home.mkdir()
    (home / "installed.txt").write_text(requirements("mlserver").read_text("utf-8"), "utf-8")
    assert python_of("mlserver", tmp_path) == home / "bin" / "python"


def test_a_measurement_is_of_server_and_client(tmp_path: Path) -> None:
    with python(NOTHING) as server, python(ANSWER.format(code=0)) as client:
        rival = Rival("mlserver", server, client, MappingProxyType({}), tmp_path / "log")
        found = measure(rival, TEXT_64, 1)
    assert (found.case, found.way, found.items) == (TEXT_64.name, "mlserver", 64 * 256)
    assert (found.wall_seconds, found.client_cpu_seconds, found.first_seconds) == (2.0, 0.5, 0.25)
    assert 0 <= found.cpu_seconds < 1
    assert len(found.ends) == 64


def test_a_client_that_ends_says_why(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("no such model", "utf-8")
    with python(NOTHING) as server, python("raise SystemExit(3)") as client:
        rival = Rival("pytriton", server, client, MappingProxyType({}), tmp_path / "log")
        with pytest.raises(RivalFailedError, match=r"(?s)pytriton: its client ended with 3 .*no such model"):
            measure(rival, IMAGES_1, 1)


def test_a_case_that_rivals_cannot_do_is_refused(tmp_path: Path) -> None:
    with python(NOTHING) as server, python(NOTHING) as client:
        rival = Rival("pytriton", server, client, MappingProxyType({}), tmp_path / "log")
        with pytest.raises(ValueError, match="text, 64 streams: rivals do texts without a prompt"):
            measure(rival, replace(TEXT_64, prompt=10), 1)


def test_a_server_that_does_not_start_is_noticed() -> None:
    with python(NOTHING) as waiting, python("raise SystemExit(4)") as ended:
        with pytest.raises(RivalFailedError, match="its server ended with 4 before it was ready"):
            starting.wait_until_ready(ended, waiting)
        with pytest.raises(RivalFailedError, match="its client ended before its server was ready"):
            starting.wait_until_ready(waiting, ended)


def test_ports_are_free_and_not_the_same() -> None:
    assert len(set(rivals.free_ports(5))) == 5


def test_lines_are_read_as_they_were_written() -> None:
    load = Load("text", "model", 1, 2, 3, 4, 5, 6)
    taken = Taken(1.0, 2.0, (3.0,), (4.0, 5.0))
    assert (Load.read(load.line()), Taken.read(taken.line())) == (load, taken)
