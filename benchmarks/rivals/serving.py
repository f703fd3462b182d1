"""What a rival's server is told: its models, where to listen, and how it batches."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LARGEST_BATCH = 64
BATCH_DELAY_SECONDS = 0.01
"""How long an incomplete batch waits for more. Longer cost less CPU time and more time: a full batch never waits."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Bundles by kind, ports of 127.0.0.1, and a folder for the server's own files."""

    models: Path
    text: Sequence[str]
    images: Sequence[str]
    grpc_port: int
    http_port: int
    workspace: Path

    def flags(self) -> list[str]:
        """The command line that `read` reads."""
        return [
            f"--models={self.models}",
            *(f"--text={name}" for name in self.text),
            *(f"--images={name}" for name in self.images),
            f"--grpc-port={self.grpc_port}",
            f"--http-port={self.http_port}",
            f"--workspace={self.workspace}",
        ]


def read(argv: Sequence[str] | None = None) -> Serving:
    """Read a command line, by default this process's."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--text", action="append", default=[])
    parser.add_argument("--images", action="append", default=[])
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--workspace", type=Path, required=True)
    return Serving(**vars(parser.parse_args(argv)))
