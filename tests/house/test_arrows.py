"""Imports point one way, between packages, between the rooms of the server, and to the libraries that few may know."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from house.project import Import, all_imports, imports_of, is_within

PACKAGES = ("rhapsode", "rhapsode_server", "rhapsode_exporter", "rhapsode_client")
BEGINNINGS = (("rhapsode_command", "rhapsode_client"),)
"""Where a package's command begins, outside of the package."""

# From the top floor down; a room sees the rooms on lower floors, never those above it or beside it.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("command",),
    ("main", "__main__"),
    ("command_line",),
    ("serve",),
    ("rpc",),
    ("engine", "repository"),
    ("models",),
    ("runtime",),
    ("config",),
    ("errors",),
)
SEES_OBSERVE = ("main", "serve", "rpc", "engine")


@dataclass(frozen=True, slots=True)
class Reserved:
    """A library, or a part of our own contract, that only the modules below some prefixes may import."""

    library: str
    users: tuple[str, ...]


SERVER, EXPORTER, CLIENT = "rhapsode_server", "rhapsode_exporter", "rhapsode_client"
TALKERS = (f"{SERVER}.rpc", f"{SERVER}.serve")
# Where the client speaks gRPC; what its users see (its types, its errors, its command line) does not.
CALLERS = tuple(
    f"{CLIENT}.{name}"
    for name in (
        *("admin", "aio", "aio_admin", "aio_link", "aio_streams", "channel", "client"),
        *("convert", "failures", "link", "resume", "status", "streams"),
    )
)
RESERVED = (
    Reserved("onnxruntime", (f"{SERVER}.runtime", EXPORTER)),
    Reserved("torch", (EXPORTER,)),
    Reserved("onnx", (f"{SERVER}.repository", f"{SERVER}.models.fuse", f"{SERVER}.runtime.probe", EXPORTER)),
    Reserved("constriction", (f"{SERVER}.models", EXPORTER)),
    Reserved("onnxscript", (EXPORTER,)),
    Reserved("matplotlib", (EXPORTER,)),
    Reserved("rdkit", (f"{EXPORTER}.judge.molecules",)),
    Reserved("prometheus_client", (f"{SERVER}.observe",)),
    Reserved("opentelemetry", (f"{SERVER}.observe",)),
    Reserved("structlog", (f"{SERVER}.observe",)),
    Reserved("tokenizers", (f"{SERVER}.repository", EXPORTER)),
    Reserved("safetensors", (f"{SERVER}.repository", EXPORTER)),
    Reserved("music21", (f"{EXPORTER}.judge", f"{CLIENT}.music")),
    Reserved("PIL", (f"{SERVER}.rpc", EXPORTER, CLIENT)),
    Reserved("grpc", ("rhapsode.v1", "rhapsode.oip", *TALKERS, f"{SERVER}.observe", *CALLERS)),
    Reserved("grpc_health", TALKERS),
    Reserved("grpc_reflection", TALKERS),
    Reserved("grpc_status", TALKERS),
    Reserved("asyncio", (f"{SERVER}.main", f"{SERVER}.engine", *TALKERS, CLIENT)),
    Reserved("rhapsode.v1.bundle_pb2", (f"{SERVER}.repository", f"{SERVER}.rpc", EXPORTER, *CALLERS)),
    *(Reserved(f"rhapsode.v1.{name}_pb2", (*TALKERS, *CALLERS)) for name in ("text", "image", "model", "bounds")),
    *(Reserved(f"rhapsode.v1.{name}_pb2_grpc", (*TALKERS, *CALLERS)) for name in ("text", "image", "model")),
    Reserved("rhapsode.oip.inference_pb2", (f"{SERVER}.rpc",)),
    Reserved("rhapsode.oip.inference_pb2_grpc", ()),
    Reserved("rhapsode.v1.admin_pb2", (*TALKERS, *CALLERS)),
    Reserved("rhapsode.v1.admin_pb2_grpc", CALLERS),
    Reserved("google", ("rhapsode.v1", f"{SERVER}.repository", f"{SERVER}.rpc", EXPORTER, *CALLERS)),
)


def package_offences(imports: Iterable[Import]) -> list[str]:
    """Imports of one of our packages by another one; all may import `rhapsode.v1`."""
    found = []
    for entry in imports:
        home, target = entry.importer.partition(".")[0], entry.imported.partition(".")[0]
        if target in PACKAGES and target not in (home, "rhapsode") and (home, target) not in BEGINNINGS:
            found.append(_say(entry, "packages meet in rhapsode.v1 only"))
    return found


def floor_offences(imports: Iterable[Import]) -> list[str]:
    """Imports between two rooms of the server that do not point down."""
    return [
        _say(entry, "rooms see lower floors only")
        for entry in imports
        if not _points_down(_room(entry.importer), _room(entry.imported))
    ]


def reserved_offences(imports: Iterable[Import]) -> list[str]:
    """Imports of a reserved library from outside its users."""
    return [
        _say(entry, f"only {', '.join(rule.users)} may import {rule.library}")
        for entry in imports
        for rule in RESERVED
        if is_within(entry.imported, rule.library) and not any(is_within(entry.importer, user) for user in rule.users)
    ]


def test_packages_meet_in_the_contract_only() -> None:
    assert package_offences(all_imports()) == []


def test_rooms_of_the_server_see_lower_floors_only() -> None:
    assert floor_offences(all_imports()) == []


def test_libraries_stay_in_their_rooms() -> None:
    assert reserved_offences(all_imports()) == []


def test_every_room_of_the_server_has_its_floor() -> None:
    known = {room for floor in FLOORS for room in floor} | {"observe", ""}
    assert {_room(entry.importer) for entry in all_imports()} - {None} <= known


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("rhapsode_server.models.stepper", "from rhapsode_server.engine.job import Job"),
        ("rhapsode_server.runtime.session", "import rhapsode_server.models.base"),
        ("rhapsode_server.engine.driver", "from rhapsode_server.repository import registry"),
        ("rhapsode_server.engine.driver", "from ..rpc import text"),
        ("rhapsode_server.errors", "from rhapsode_server.config import Config"),
        ("rhapsode_server.models.stepper", "from rhapsode_server.observe.metrics import Metrics"),
        ("rhapsode_server.observe.metrics", "from rhapsode_server.engine.job import Job"),
    ],
)
def test_an_arrow_that_points_up_is_found(importer: str, line: str) -> None:
    assert floor_offences(_one(importer, line))


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("rhapsode_server.models.stepper", "import onnxruntime as ort"),
        ("rhapsode_server.rpc.text", "def f():\n    import torch.nn"),
        ("rhapsode_server.engine.driver", "from prometheus_client import Counter"),
        ("rhapsode_client.types", "from rhapsode.v1 import text_pb2"),
        ("rhapsode_client.cli.text", "from google.protobuf import json_format"),
        ("rhapsode_server.models.text", "from rhapsode.v1.text_pb2 import Sampling"),
    ],
)
def test_a_library_out_of_its_room_is_found(importer: str, line: str) -> None:
    assert reserved_offences(_one(importer, line))


def test_a_package_that_imports_another_is_found() -> None:
    assert package_offences(_one("rhapsode_server.rpc.text", "from rhapsode_client import Client"))


def _one(importer: str, line: str) -> list[Import]:
    return list(imports_of(line, importer, importer.rpartition(".")[0]))


def _room(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] != SERVER:
        return None
    return parts[1] if len(parts) > 1 else ""


def _points_down(importer: str | None, imported: str | None) -> bool:
    if not importer or not imported or importer == imported or not _is_room(imported):
        return True
    if imported == "observe":
        return importer in SEES_OBSERVE
    if importer == "observe":
        return imported in ("config", "errors")
    return _floor(importer) < _floor(imported)


def _is_room(name: str) -> bool:
    return name == "observe" or any(name in floor for floor in FLOORS)


def _floor(room: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if room in floor)


def _say(entry: Import, rule: str) -> str:
    return f"{entry.importer}:{entry.line} imports {entry.imported}: {rule}"
