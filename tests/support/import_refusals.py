"""What `rhapsode-train import` says where it refuses."""

from pathlib import Path

import pytest
from onnx import ModelProto

from rhapsode_exporter.errors import ImportRefusedError
from rhapsode_exporter.importer.importing import read_model, run_model, write_imported
from support import foreign


def refused(folder: Path, description: str, **models: ModelProto) -> list[str]:
    """The lines of the refusal, without the first; nothing may have been written beside the files."""
    described, files = foreign.write(folder, description, **models)
    before = sorted(folder.iterdir())
    with pytest.raises(ImportRefusedError) as caught:
        write_imported(run_model(read_model(described, files)), folder / "models")
    assert sorted(folder.iterdir()) == before
    head, *lines = str(caught.value).split("\n  ")
    assert head == "bundle.yaml cannot be imported:"
    return lines


def assert_line(lines: list[str], where: str, rule: str, part: str) -> None:
    """One of the lines begins with `where`, has the part, and names the rule."""
    end = f" (docs/bundle.md, {rule})" if rule else ""
    fitting = [line for line in lines if line.startswith(f"{where}: ") and part in line and line.endswith(end)]
    assert fitting, "\n".join(lines)
