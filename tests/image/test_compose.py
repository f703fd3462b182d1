"""What compose.yaml names exists: files, options, ports, targets; no engine that could run it is here."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from house.project import ROOT
from rhapsode_server import command_line
from rhapsode_server.config import Config
from support.ending import longest_stop

COMPOSE = ROOT / "deploy/compose"
FILES = ("compose.yaml", "compose.gpu.yaml")


def read(name: str) -> Any:
    return yaml.safe_load((COMPOSE / name).read_text("utf-8"))


def services() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in FILES:
        yield from read(name)["services"].items()


def dockerfile(pattern: str) -> set[str]:
    return set(re.findall(pattern, (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("name", FILES)
def test_they_are_what_the_schema_of_compose_asks_for(name: str) -> None:
    words = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE / name)]
    done = subprocess.run(
        [Path(sys.executable).with_name(words[0]), *words[1:]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_mounted_files_exist_and_are_read_only() -> None:
    named = read("compose.yaml")["volumes"].keys()
    for _, service in services():
        for source, target, *mode in (mount.split(":") for mount in service.get("volumes", [])):
            assert target.startswith("/")
            assert source in named or (mode == ["ro"] and (COMPOSE / source).exists()), source


def test_targets_and_contexts_exist() -> None:
    targets = dockerfile(r"^FROM \S+ AS (\S+)$")
    assert {service["build"]["target"] for _, service in services() if "build" in service} <= targets
    context = read("compose.yaml")["services"]["rhapsode"]["build"]["context"]
    assert (COMPOSE / context / "Dockerfile").exists()


def test_variables_of_ours_are_settings() -> None:
    settings = {command_line.variable(field) for field in Config.model_fields}
    given = {
        name for _, service in services() for name in service.get("environment", {}) if name.startswith("RHAPSODE_")
    }
    assert given | dockerfile(r"\b(RHAPSODE_[A-Z_]+)=") <= settings


def test_ports_are_those_of_the_image() -> None:
    exposed = set(" ".join(dockerfile(r"^EXPOSE (.*)$")).split())
    ours = read("compose.yaml")["services"]["rhapsode"]
    assert {port.rpartition(":")[2] for port in ours["ports"]} <= exposed
    (job,) = read("prometheus.yaml")["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["rhapsode:9464"]}]
    assert "9464" in exposed


def test_nothing_is_open_to_other_machines_or_may_more_than_it_needs() -> None:
    for name, service in read("compose.yaml")["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert read("compose.yaml")["services"]["rhapsode"]["read_only"] is True


def test_pictures_of_others_are_pinned() -> None:
    images = [service["image"] for _, service in services() if "build" not in service]
    assert all(re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", image) for image in images)


def test_a_stop_may_take_as_long_as_the_server_takes() -> None:
    allowed = int(read("compose.yaml")["services"]["rhapsode"]["stop_grace_period"].removesuffix("s"))
    assert allowed >= longest_stop(Config())


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here: Debian's package prometheus has it")
    for source, target, *_ in (mount.split(":") for mount in read("compose.yaml")["services"]["prometheus"]["volumes"]):
        if target.startswith("/etc/prometheus/"):
            shutil.copy(COMPOSE / source, tmp_path / Path(target).name)
    done = subprocess.run(
        [promtool, "check", "config", str(tmp_path / "prometheus.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
