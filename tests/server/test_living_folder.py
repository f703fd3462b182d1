"""A server process that watches its folder of models serves what comes into it, and no more what leaves it."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from rhapsode.v1.model_pb2 import GetModelRequest, ModelState, WatchModelsRequest
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from support.bundles import stepper
from support.server import Process, process


@dataclass(frozen=True)
class Living:
    """A server, its folder, and bundles that lie ready beside it."""

    server: Process
    models: Path
    ready: Path
    served: ModelServiceStub
    admin: ModelServiceStub
    health: Any  # its stubs know no rpcs

    @property
    def versions(self) -> Path:
        return self.models / "tiny-text"

    def states(self) -> Mapping[int, str]:
        """Where each version stands."""
        first = next(iter(self.admin.WatchModels(WatchModelsRequest())))
        return {each.version: ModelState.Name(each.state).removeprefix("MODEL_STATE_") for each in first.statuses}

    def meant(self, reference: str) -> int:
        """The version that a reference means."""
        return self.served.GetModel(GetModelRequest(model=reference)).model.version

    def until(self, message: str, version: int) -> None:
        """Wait for the next line with this message that is of this version."""
        while self.server.until_logged(message)["model_version"] != version:
            pass

    def until_all(self, *lines: tuple[str, int]) -> None:
        """Wait for a line with each message that is of its version, in whatever order they come."""
        left = set(lines)
        while left:
            line = json.loads(self.server.child.until(lambda said: said.startswith("{")))
            left.discard((line["msg"], line.get("model_version", 0)))


@pytest.fixture
def living(tmp_path: Path) -> Iterator[Living]:
    models, ready, socket = tmp_path / "models", tmp_path / "ready", f"unix:{tmp_path}/admin"
    models.mkdir()
    for version in (1, 2, 3, 4):
        stepper(version=version, seed=version).write(ready)
    flags = ("--watch", "--admin-address", socket)
    with (
        process(models, *flags) as server,
        grpc.insecure_channel(server.address) as channel,
        grpc.insecure_channel(socket) as admin,
    ):
        yield Living(
            server, models, ready / "tiny-text", ModelServiceStub(channel), ModelServiceStub(admin), HealthStub(channel)
        )


def test_what_comes_and_goes_in_the_folder_comes_and_goes_in_the_server(living: Living) -> None:
    # At first there is nothing, and nobody to be sent requests.
    readiness = living.health.Watch(HealthCheckRequest(service="readiness"))
    assert next(readiness).status == HealthCheckResponse.NOT_SERVING
    with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
        living.meant("tiny-text")
    living.versions.mkdir()
    (living.versions / "aliases.toml").write_text("stable = 1\ncanary = 9\n", "utf-8")
    (living.ready / "1").rename(living.versions / "1")
    living.until("model alias set", 1)
    assert next(readiness).status == HealthCheckResponse.SERVING
    readiness.cancel()
    with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
        living.meant("tiny-text@canary")

    # At once: one that is being copied, one that is broken, one that is renamed into place.
    manifest = (living.ready / "3" / "bundle.json").read_bytes()
    (living.ready / "3" / "bundle.json").unlink()
    shutil.copytree(living.ready / "3", living.versions / "3")
    (living.ready / "4" / "card.md").write_bytes(b"# A tidy model\n")
    shutil.copytree(living.ready / "4", living.versions / "4")
    (living.ready / "2").rename(living.versions / "2")
    living.until("bundle waited for", 3)
    living.until("model load failed", 4)
    living.until("model loaded", 2)
    assert (living.meant("tiny-text"), living.meant("tiny-text@stable")) == (2, 1)
    assert living.states() == {1: "READY", 2: "READY", 3: "UNLOADED", 4: "FAILED"}

    # The copy is finished, the broken one removed, one overwritten where it lies, and an alias moved.
    (living.versions / "3" / "bundle.json").write_bytes(manifest)
    shutil.rmtree(living.versions / "4")
    other = stepper(version=2, seed=9).write(living.ready.parent / "other")
    for path in sorted(other.iterdir()):
        shutil.copy(path, living.versions / "2")
    (living.versions / "aliases.toml").write_text("stable = 3\n", "utf-8")
    shutil.rmtree(living.versions / "1")
    living.until_all(("model loaded", 3), ("model loaded", 2), ("model alias set", 3), ("model unloaded", 1))
    assert living.meant("tiny-text@stable") == 3
    with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
        living.meant("tiny-text@canary")
    assert living.states() == {1: "UNLOADED", 2: "READY", 3: "READY", 4: "UNLOADED"}

    # The folder goes, as a disk does, and comes back.
    away = living.models.rename(living.models.parent / "away")
    living.server.until_logged("models folder away")
    away.rename(living.models)
    living.server.until_logged("models folder back")
    assert (living.meant("tiny-text"), living.meant("tiny-text@2")) == (3, 2)
    assert living.server.stop() == 0
    said = {line["msg"] for line in living.server.rest()}
    assert said.isdisjoint({"model watch failed", "model unloading", "model loading"})
