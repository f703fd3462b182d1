"""What the image installs is what the tests were run with, every file of it by its hash."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from house.project import ROOT
from house.test_constraints import pinned

LOCKS = ("cpu", "cuda", "build")
# The image's Python; a lock is made for the lowest that the project takes.
IMAGE = {"python_version": "3.11", "sys_platform": "linux", "platform_machine": "x86_64", "extra": ""}
ONLY_LOCKED = re.compile(r"nvidia-.*")  # what only the image for GPUs brings, and no test ever installed


def locked(name: str) -> dict[str, str]:
    """The versions of a lock. Raises ValueError where one has no hash, or comes from a place of its own."""
    found: dict[str, str] = {}
    for entry in _entries(ROOT / f"deploy/image/requirements-{name}.txt"):
        pin, *hashes = entry.split()
        if "==" not in pin or not hashes or not all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes):
            raise ValueError(f"{name}: {pin}")
        distribution, _, version = pin.partition("==")
        found[canonicalize_name(distribution)] = version
    return found


def _entries(lock: Path) -> list[str]:
    text = re.sub(r"^#.*\n", "", lock.read_text("utf-8"), flags=re.MULTILINE)
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def wanted(requirements: Iterable[str], extras: Mapping[str, list[str]]) -> set[str]:
    """The distributions that requirements name for the image, those of our own extras among them."""
    found: set[str] = set()
    for one in map(Requirement, requirements):
        if one.marker is not None and not one.marker.evaluate(IMAGE):
            continue
        if one.name == "rhapsode":
            found |= wanted([line for extra in one.extras for line in extras[extra]], extras)
        else:
            found.add(canonicalize_name(one.name))
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_what_the_tests_were_run_with(name: str) -> None:
    pins = pinned((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    ours = {one: version for one, version in locked(name).items() if not ONLY_LOCKED.fullmatch(one)}
    assert {one: version for one, version in ours.items() if pins.get(one) != version} == {}


def test_the_locks_cover_what_the_project_asks_for() -> None:
    description = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project, groups = description["project"], description["dependency-groups"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    served = wanted(
        project["dependencies"] + [f"rhapsode[{one}]" for one in ("server", "otel") if one in extras], extras
    )
    assert served - locked("cpu").keys() == set()
    assert (served | wanted(["rhapsode[cuda]"], extras)) - locked("cuda").keys() == set()
    assert wanted(groups["image-build"], {}) - locked("build").keys() == set()


def test_the_gpu_image_has_the_libraries_of_cuda_and_the_other_has_not() -> None:
    assert {"nvidia-cudnn-cu13", "nvidia-cublas"} <= locked("cuda").keys() - locked("cpu").keys()
    assert locked("cpu").items() <= locked("cuda").items()
    assert "torch" not in locked("cuda")


def test_the_image_says_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    said = re.findall(r"^ARG VERSION=(.*)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert said == [version, version]


def test_a_pin_without_a_hash_is_found(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("# made\none==1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\ntwo==2\n", encoding="utf-8")
    assert [entry.split() for entry in _entries(lock)] == [
        ["one==1", "--hash=sha256:aa", "--hash=sha256:bb"],
        ["two==2"],
    ]
