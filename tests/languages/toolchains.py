"""Makes programs in other languages ready to run, or skips with what is missing."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from google.rpc import status_pb2

from house.project import ROOT

HERE = Path(__file__).parent
NODE_MODULES = HERE / "node/node_modules"
PROTOS = ROOT / "protos"
GOOGLEAPIS = Path(status_pb2.__file__).parents[2]  # its .proto files lie beside the Python code
BUILD = ROOT / ".languages"  # kept: Go compiles gRPC once
DEBIANS_GO_PACKAGES = Path("/usr/share/gocode")
Words = Sequence[str]


def node(script: Path) -> Words:
    """The words that run a script, before its arguments; a folder node_modules must lie beside it or above."""
    _need("node", NODE_MODULES / "@grpc/grpc-js")
    return ["node", str(script)]


def go(source: Path) -> Words:
    """The words that run a program in Go, compiled here with what protoc makes of the protos."""
    _need("go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc", DEBIANS_GO_PACKAGES / "src/google.golang.org/grpc")
    generated, program = BUILD / "src", BUILD / "bin" / source.stem
    generated.mkdir(parents=True, exist_ok=True)
    paths = {"GOPATH": f"{BUILD}:{DEBIANS_GO_PACKAGES}", "GOCACHE": str(BUILD / "cache")}
    protos = [str(path.relative_to(PROTOS)) for path in sorted(PROTOS.rglob("*.proto"))]
    _run(["protoc", f"-I{PROTOS}", f"--go_out={generated}", f"--go-grpc_out={generated}", *protos])
    _run(["go", "build", "-o", str(program), str(source)], {**paths, "GO111MODULE": "off"})
    return [str(program)]


def _need(*things: str | Path) -> None:
    """Skip where a program or a folder is absent."""
    for thing in things:
        if not (shutil.which(thing) if isinstance(thing, str) else thing.exists()):
            pytest.skip(f"{thing} is not here; make test-languages installs it where it can")


def _run(words: Words, variables: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(words, env={**os.environ, **(variables or {})}, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"{words[0]}: {done.stderr}")
