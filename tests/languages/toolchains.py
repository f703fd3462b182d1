"""Makes the smoke clients of other languages ready to run, or skips with what is missing."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from google.rpc import status_pb2

from house.project import ROOT

HERE = Path(__file__).parent
PROTOS = ROOT / "protos"
GOOGLEAPIS = Path(status_pb2.__file__).parents[2]  # its .proto files lie beside the Python code
BUILD = ROOT / ".languages"  # kept: Go compiles gRPC once
DEBIANS_GO_PACKAGES = Path("/usr/share/gocode")
Words = Sequence[str]


def node() -> Words:
    """The words that start the client in JavaScript, before its arguments; it reads the .proto files when it starts."""
    _need("node", HERE / "node/node_modules/@grpc/grpc-js")
    return ["node", str(HERE / "node/smoke.mjs")]


def go() -> Words:
    """The same for the client in Go, generated and compiled here."""
    _need("go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc", DEBIANS_GO_PACKAGES / "src/google.golang.org/grpc")
    source, program = BUILD / "src", BUILD / "smoke"
    source.mkdir(parents=True, exist_ok=True)
    paths = {"GOPATH": f"{BUILD}:{DEBIANS_GO_PACKAGES}", "GOCACHE": str(BUILD / "cache")}
    protos = [str(path.relative_to(PROTOS)) for path in sorted(PROTOS.rglob("*.proto"))]
    _run(["protoc", f"-I{PROTOS}", f"--go_out={source}", f"--go-grpc_out={source}", *protos])
    _run(["go", "build", "-o", str(program), str(HERE / "go/main.go")], {**paths, "GO111MODULE": "off"})
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
