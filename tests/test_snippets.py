"""The Python examples in the documents run as they stand, against a server of the shipped models."""

import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from house.project import ROOT
from support.server import process

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DEFAULT_ADDRESS = '"127.0.0.1:50051"'
ADMIN_ADDRESS = '"unix:/run/rhapsode/admin"'
# What an example may take for granted from those before it.
PREAMBLE = "from rhapsode_client import Client\n\nclient = Client({address!r})\n"


def snippets() -> list[tuple[str, str]]:
    """Every Python block of the documents for users of the client, with a name for it."""
    pages = ("README.md", "clients/README.md", "docs/inference.md")
    found = ((page, BLOCK.findall((ROOT / page).read_text("utf-8"))) for page in pages)
    return [(f"{page}:{number}", block) for page, blocks in found for number, block in enumerate(blocks, 1)]


@pytest.fixture(scope="module")
def admin_address() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="rhapsode-") as folder:
        yield f"unix:{folder}/admin"


@pytest.fixture(scope="module")
def address(admin_address: str) -> Iterator[str]:
    told = ("--admin-address", admin_address, "--model-control", "clients")
    with process(ROOT / "models", "--max-tokens", "400", *told) as server:
        yield server.address


@pytest.mark.parametrize("snippet", [pytest.param(block, id=name) for name, block in snippets()])
def test_an_example_runs(snippet: str, address: str, admin_address: str, tmp_path: Path) -> None:
    here = snippet.replace(DEFAULT_ADDRESS, repr(address)).replace("Client()", f"Client({address!r})")
    here = here.replace(ADMIN_ADDRESS, repr(admin_address))
    if "async with" in here:
        here = f"import asyncio\n\nasync def main():\n{textwrap.indent(here, '    ')}\n\nasyncio.run(main())\n"
    script = tmp_path / "example.py"
    script.write_text(PREAMBLE.format(address=address) + here, encoding="utf-8")
    done = subprocess.run([sys.executable, "-W", "error", str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_there_are_examples() -> None:
    assert len(snippets()) >= 4
