"""What is in the image, and what is not; built for real, by `make test-image`."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from house.project import ROOT
from image.building import Image
from image.container import run

pytestmark = [pytest.mark.image, pytest.mark.timeout(900)]

PLACES = ("/", "/tmp", "/dev", "/home", "/models", "/opt/rhapsode", "/run", "/var/tmp", "/usr/share/sbom")
ABSENT = re.compile(
    r"torch|pip|setuptools|hatchling|cyclonedx.*|ensurepip|gcc(-\d+)?|cc|make|libonnxruntime_providers_cuda\.so"
)


def test_it_checks_its_models(image: Image) -> None:
    done = run(image, *image.settings.entrypoint, "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["models"] == len(list((ROOT / "models").glob("*/*/bundle.json")))


def test_its_settings_are_those_of_a_server_for_others(image: Image) -> None:
    said = run(image, *image.settings.entrypoint, "--print-config").stdout.splitlines()
    assert {
        "RHAPSODE_ADDRESS=0.0.0.0:50051",
        "RHAPSODE_METRICS_ADDRESS=0.0.0.0:9464",
        "RHAPSODE_MODELS=/models",
        "RHAPSODE_PROVIDER=cpu",
    } <= set(said)
    assert image.settings.user == "10001:10001"
    assert image.settings.entrypoint == ["rhapsode-server"]
    assert image.settings.ports == {"50051/tcp", "9464/tcp"}
    assert image.settings.stop_signal == "SIGTERM"


def test_wrong_options_end_it_at_once(image: Image) -> None:
    done = run(image, *image.settings.entrypoint, "--no-such-flag")
    assert (done.returncode, done.stderr) == (2, "unknown flag: --no-such-flag\n")


def test_it_says_what_it_is(image: Image) -> None:
    labels = {
        name.rpartition("image.")[2]: value for name, value in image.settings.labels.items() if "opencontainers" in name
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert labels["version"] == project["version"]
    assert labels["licenses"] == project["license"]
    assert labels["revision"] == "tested"
    assert labels["base.name"] == "localhost/rhapsode-base"
    assert labels.keys() == {"title", "description", "licenses", "version", "revision", "base.name"}


def test_nothing_can_be_written(image: Image) -> None:
    tries = "; ".join(f"touch {place}/x && echo wrote {place}" for place in PLACES)
    done = run(image, "sh", "-c", tries)
    assert done.stdout == ""
    assert done.stderr.count("Read-only file system") == len(PLACES)


def test_there_is_no_torch_no_compiler_no_pip(image: Image) -> None:
    found = [
        path for folder in ("usr", "opt") for path in (image.root / folder).rglob("*") if ABSENT.fullmatch(path.name)
    ]
    assert [path for path in found if "share" not in path.parts] == []
    asked = run(image, "python", "-c", "import pip")
    assert "No module named 'pip'" in asked.stderr


def test_the_bill_of_materials_names_all_that_is_locked(image: Image) -> None:
    bill = json.loads((image.root / "usr/share/sbom/rhapsode.cdx.json").read_text("utf-8"))
    components = {part["purl"].partition("?")[0]: part for part in bill["components"] if "purl" in part}
    locked = re.findall(
        r"^([a-z0-9-]+)==(\S+)", (ROOT / "deploy/image/requirements-cpu.txt").read_text("utf-8"), re.MULTILINE
    )
    assert {f"pkg:pypi/{name}@{version}" for name, version in locked} <= components.keys()
    assert bill["metadata"]["component"]["name"] == "rhapsode"
    assert any(purl.startswith("pkg:deb/debian/libc6@") for purl in components)
    nameless = {purl for purl, part in components.items() if purl.startswith("pkg:pypi/") and not part.get("licenses")}
    assert {purl.partition("@")[0] for purl in nameless} <= {"pkg:pypi/protobuf"}  # its wheel does not say


def test_how_large_it_is(image: Image) -> None:
    megabytes = {name: _size(image.root / name) // 10**6 for name in (".", "opt/rhapsode", "models")}
    print(f"built in {image.seconds:.0f} s; megabytes: {megabytes}")
    assert megabytes["opt/rhapsode"] < 500


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_symlink())
