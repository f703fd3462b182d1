"""docs/import.md is true: its examples are run, imported, served, and give what torch itself gives."""

import io
import logging
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from house.project import ROOT
from rhapsode_client import AsyncClient, ImageFormat
from rhapsode_exporter.importer.importing import read_model, run_model, write_imported
from rhapsode_exporter.main import build_app
from support import server

PAGE = (ROOT / "docs" / "import.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LENGTH = 120


@dataclass(frozen=True)
class Examples:
    """The folder where the examples were run, what their scripts left behind, and what the command said."""

    folder: Path
    names: dict[str, Any]
    said: str


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """Everything on the page is done in its order: scripts, files, and the command."""
    folder, names = tmp_path_factory.mktemp("docs"), {"__name__": "docs"}
    console = Console(file=io.StringIO(), width=300)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of its own internals
        patch.setattr(logging.getLogger("torch.onnx"), "disabled", True)
        patch.chdir(folder)
        for language, text in BLOCK.findall(PAGE)[1:]:
            follow(language, text, names, console)
    assert isinstance(console.file, io.StringIO)
    return Examples(folder, names, console.file.getvalue())


def follow(language: str, text: str, names: dict[str, Any], console: Console) -> None:
    if language == "python":
        exec(text, names)  # noqa: S102  # it is our own page
    elif language == "yaml":
        Path(text.splitlines()[0].removeprefix("# ")).write_text(text, encoding="utf-8")
    elif text.startswith("rhapsode-train import"):
        words = text.splitlines()[0].split()[1:]
        assert CliRunner().invoke(build_app([], console), words, catch_exceptions=False).exit_code == 0


@torch.no_grad()
def recited(names: dict[str, Any], prompt: str) -> str:
    """What torch itself writes after a prompt, always the likeliest character."""
    alphabet, text, states = names["ALPHABET"], "", [torch.zeros(2, 1, names["WIDTH"])] * 2
    waiting = list(prompt)
    while len(text) < LENGTH:
        character = waiting.pop(0) if waiting else text[-1]
        scores, *states = names["writer"](torch.tensor([[alphabet.index(character)]]), *states)
        if not waiting:
            text += alphabet[int(scores.argmax())]
    return text


def test_the_real_server_accepts_the_bundles(examples: Examples) -> None:
    assert examples.said.count("the server loads it\n") == 2


async def written(folder: Path, model: str, prompt: str) -> str:
    """What a real server writes after a prompt, always the likeliest character."""
    async with server.running(server.load(folder)) as running, AsyncClient(running.address) as client:
        return (await client.generate_text(model, prompt, max_tokens=LENGTH, temperature=0.0)).text


@pytest.mark.parametrize("prompt", ["\n", "the quick ", "zebra"])
async def test_the_server_recites_what_torch_recites(prompt: str, examples: Examples) -> None:
    text = await written(examples.folder / "models", "pangram", prompt)
    assert text == recited(examples.names, prompt)
    assert len(text) == LENGTH
    if prompt == "\n":
        assert text.startswith(examples.names["SENTENCE"])


async def test_states_that_are_swapped_write_something_else(examples: Examples, tmp_path: Path) -> None:
    """The control: what pairing by order would do is seen in the text, and in nothing else."""
    description = (examples.folder / "lstm.yaml").read_text(encoding="utf-8")
    swapped = description.replace("hidden_out", "x").replace("cell_out", "hidden_out").replace("x}", "cell_out}")
    (tmp_path / "lstm.yaml").write_text(swapped, encoding="utf-8")
    planned = read_model(tmp_path / "lstm.yaml", [examples.folder / "lstm.onnx"])
    write_imported(run_model(planned), tmp_path / "models")
    assert await written(tmp_path / "models", "pangram", "\n") != recited(examples.names, "\n")


async def test_the_server_draws_what_torch_draws(examples: Examples) -> None:
    latents = np.random.Generator(np.random.PCG64(1)).standard_normal((5, 12), np.float32)
    torch.manual_seed(0)
    with torch.no_grad():
        wanted = examples.names["Decoder"]().eval()(torch.from_numpy(latents)[:, :, None, None]).numpy()
    loaded = server.load(examples.folder / "models")
    async with server.running(loaded) as running, AsyncClient(running.address) as client:
        stream = client.decode_latents("stains", latents, format=ImageFormat.RAW_FLOAT32)
        pictures = [picture.array() async for picture in stream]
    assert np.allclose(np.stack(pictures), wanted, atol=1e-5)


def test_the_page_shows_what_the_command_says(examples: Examples) -> None:
    shown = next(text for _, text in BLOCK.findall(PAGE) if text.startswith("decode.onnx"))
    assert shown in examples.said
    assert "step.onnx: hidden: Transpose [1, 0, 2]" in examples.said


def test_the_page_names_every_key() -> None:
    table = PAGE[PAGE.index("| key |") : PAGE.index("A vocabulary file")]
    sources = (ROOT / "exporter/rhapsode_exporter/importer").glob("*.py")
    asked = re.compile(r'(?:section|tensors)\.(?:text|texts|value|integer|number|flag|choice|sections?)\("(\w+)"')
    keys = {key for source in sources for key in asked.findall(source.read_text(encoding="utf-8"))}
    assert {"licence", "states", "drop", "initial_value", "longest_prompt"} <= keys
    assert {key for key in keys if key not in table} == set()
