"""The file constraints.txt pins every distribution that an installation brings."""

import re
from collections.abc import Mapping
from importlib.metadata import distributions

from house.project import ROOT

# What a fresh environment has by itself, what we are, and what only torch's builds for CUDA bring.
EXEMPT = re.compile(r"pip|wheel|rhapsode|triton|(nvidia|cuda)-.*")


def pinned(text: str) -> dict[str, str]:
    """Versions by normalised name, as a constraints file says them."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {_normal(name): version for name, version in (line.split("==") for line in lines if line)}


def offences(pins: Mapping[str, str], installed: Mapping[str, str]) -> list[str]:
    """What is installed but not pinned, or not at its pin; a local part like "+cpu" does not count."""
    return [
        f"{name} {version} is installed, constraints.txt says {pins.get(name, 'nothing')}"
        for name, version in sorted(installed.items())
        if not EXEMPT.fullmatch(name) and pins.get(name) != version.partition("+")[0]
    ]


def test_every_installed_distribution_is_pinned() -> None:
    installed = {_normal(found.metadata["Name"]): found.version for found in distributions()}
    assert offences(pinned((ROOT / "constraints.txt").read_text(encoding="utf-8")), installed) == []


def test_a_missing_pin_is_found() -> None:
    pins = pinned("# why\nNumPy==2.4.6\ntorch==2.13.0  # the release\n")
    assert offences(pins, {"numpy": "2.4.6", "torch": "2.13.0+cpu", "pip": "26.3"}) == []
    assert offences(pins, {"numpy": "2.5.0", "onnx": "1.23.2"}) == [
        "numpy 2.5.0 is installed, constraints.txt says 2.4.6",
        "onnx 1.23.2 is installed, constraints.txt says nothing",
    ]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
