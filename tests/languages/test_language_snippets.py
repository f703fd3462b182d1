"""The examples in other languages in the documents run as they stand, against a shipped model."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from house.project import ROOT
from languages import toolchains
from rhapsode_client import Client
from support.server import process

pytestmark = [pytest.mark.languages, pytest.mark.timeout(900)]  # the first time, Go compiles gRPC

MODEL = "shakespeare-rnn"
# What an example may take for granted.
NODE = """import grpc from '@grpc/grpc-js'
import protoLoader from '@grpc/proto-loader'

{snippet}
texts.close()
"""
GO = """package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"time"

	rhapsode "github.com/rhapsode/rhapsode/gen/go/rhapsode/v1"
	"google.golang.org/grpc"
)

func main() {{
	seed := uint64(1)
	connection, err := grpc.Dial("{address}", grpc.WithInsecure())
	if err != nil {{
		log.Fatal(err)
	}}
	texts := rhapsode.NewTextServiceClient(connection)
	if err := read(texts, seed); err != io.EOF {{
		log.Fatal(err)
	}}
}}

func read(texts rhapsode.TextServiceClient, seed uint64) error {{
{snippet}
	return err
}}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(ROOT / "models" / MODEL, models / MODEL)
    with process(models, "--max-tokens", "400") as server:
        yield server.address


def snippet(language: str) -> str:
    """The one block of this language."""
    page = (ROOT / "clients/README.md").read_text("utf-8")
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return str(block)


def compare(words: Sequence[str], address: str) -> None:
    """Run a program, and compare what it prints with what the Python client gets."""
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", cwd=ROOT, timeout=300)
    with Client(address) as client:
        expected = client.generate_text(MODEL, "ROMEO:", seed=1).text
    assert (done.returncode, done.stdout) == (0, expected), done.stderr


def test_the_example_for_node(address: str, tmp_path: Path) -> None:
    script = tmp_path / "example.mjs"
    script.write_text(NODE.format(snippet=snippet("js").replace("127.0.0.1:50051", address)), encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(toolchains.NODE_MODULES)
    compare(toolchains.node(script), address)


def test_the_example_for_go(address: str, tmp_path: Path) -> None:
    source = tmp_path / "example.go"
    source.write_text(GO.format(snippet=snippet("go"), address=address), encoding="utf-8")
    compare(toolchains.go(source), address)
