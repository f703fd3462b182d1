"""Writes an image's bill of materials in CycloneDX: its Python distributions, its interpreter, Debian's packages.

Run in the image's build, by the environment that has cyclonedx-bom: sbom.py PYTHON PYPROJECT OUT
"""

import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

# The licences that a copyright file in Debian's own format names, a paragraph each.
LICENCE = re.compile(r"^License: *(\S.*)$", re.MULTILINE)
DPKG_LINE = "${Package} ${Version} ${Architecture}\n"
NAMED_COPYRIGHTS = Path("/usr/share/doc")


def write(python: str, pyproject: Path, out: Path) -> None:
    """Write the bill of an interpreter's environment, on the system that this runs on."""
    bom = python_bill(python, pyproject)
    bom.components.add(interpreter())
    bom.components.update(debian_packages())
    text = JsonV1Dot6(bom).output_as_string(indent=1)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(valid(text), encoding="utf-8")


def python_bill(python: str, pyproject: Path) -> Bom:
    """The distributions of an environment, with their licences and what each of them needs."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(pyproject), python]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    bom: Bom = Bom.from_json(json.loads(done.stdout))  # type: ignore[attr-defined]  # a decorator makes it
    return bom


def interpreter() -> Component:
    """Python itself, which python:slim compiles and dpkg does not know."""
    version = platform.python_version()
    return Component(
        type=ComponentType.PLATFORM,
        name="cpython",
        version=version,
        licenses=[DisjunctiveLicense(id="PSF-2.0")],
        purl=PackageURL("generic", name="cpython", version=version),
    )


def debian_packages() -> Iterator[Component]:
    """What dpkg says is installed."""
    command = ["dpkg-query", "--show", "--showformat", DPKG_LINE]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    for name, version, architecture in (line.split() for line in done.stdout.splitlines()):
        yield Component(
            type=ComponentType.LIBRARY,
            name=name,
            version=version,
            licenses=[DisjunctiveLicense(name=licence) for licence in licences(NAMED_COPYRIGHTS / name / "copyright")],
            purl=PackageURL("deb", "debian", name, version, {"arch": architecture}),
        )


def licences(copyright_file: Path) -> list[str]:
    """The licences that a package's copyright file names; none where it is prose, or was left out."""
    try:
        text = copyright_file.read_text("utf-8", errors="replace")
    except OSError:
        return []
    return sorted({name.strip() for name in LICENCE.findall(text)})


def valid(text: str) -> str:
    """The same text. Ends the build where it is not what the schema of CycloneDX asks for."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        raise SystemExit(f"no valid CycloneDX: {error!r}")
    return text


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
