"""Reading the graphs of bundle.yaml, and which ONNX file has which role."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from rhapsode.v1.bundle_pb2 import GraphRole, ModelKind
from rhapsode_exporter.bundle.draft import DEFAULT_TOLERANCE
from rhapsode_exporter.bundle.export import file_of, role_name
from rhapsode_exporter.importer.contract import CRITIC, DECODE, ENCODE, STEP, TENSORS
from rhapsode_exporter.importer.description import GraphDescription, StateDescription
from rhapsode_exporter.importer.problems import Problem
from rhapsode_exporter.importer.section import Section

Role: TypeAlias = GraphRole.ValueType
ROLES: Mapping[str, Role] = MappingProxyType({role_name(role): role for role in TENSORS})
LATER_ROLES = ("denoise", "transform")
_KNOWN = f"the roles are: {', '.join(ROLES)}"
# The roles that a kind must have, and those that it may have.
KIND_ROLES: Mapping[ModelKind.ValueType, tuple[Collection[Role], Collection[Role]]] = MappingProxyType(
    {
        ModelKind.MODEL_KIND_SEQUENCE: ((STEP,), ()),
        ModelKind.MODEL_KIND_AUTOENCODER: ((DECODE, ENCODE), ()),
        ModelKind.MODEL_KIND_GENERATOR: ((DECODE,), (CRITIC,)),
    }
)


def read_graphs(section: Section, kind: ModelKind.ValueType, files: Sequence[Path]) -> tuple[GraphDescription, ...]:
    """The graphs that the key `graphs` describes and the files are, in the order of their roles.

    A file whose name is a role's needs no entry under `graphs`.
    """
    entries = section.section("graphs")
    found = [_graph(entries.section(name), ROLES[name], files) for name in entries if _is_role(entries, name)]
    claimed = {graph.file for graph in found}
    for name, count in Counter(path.name for path in files).items():
        if count > 1:
            section.problems.append(Problem(name, "is the name of two files on the command line; rename one", "M4"))
        if name not in claimed and (role := _role_by_name(section, name, {graph.role for graph in found})):
            found.append(_graph(Section(entries.path(Path(name).stem), {}, section.problems), role, files))
    _check_kind(section, kind, {graph.role for graph in found})
    return tuple(sorted(found, key=lambda graph: graph.role))


def _is_role(entries: Section, name: str) -> bool:
    if name not in ROLES:
        entries.wrong(name, f"is no role of this release; {_KNOWN}", "M3")
    return name in ROLES


def _role_by_name(section: Section, name: str, taken: Collection[Role]) -> Role | None:
    """The role that a file of this name has by itself; a problem where it has none, or the role is taken."""
    path = Path(name)
    role = ROLES.get(path.stem) if path.suffix == ".onnx" else None
    if path.stem in LATER_ROLES:
        section.problems.append(Problem(name, f"{path.stem} is no role of this release; {_KNOWN}", "M3"))
    elif role is None:
        text = f"has no role; say it in bundle.yaml (graphs: {{step: {{file: {name}}}}}); {_KNOWN}"
        section.problems.append(Problem(name, text, "M4"))
    elif role in taken:
        section.problems.append(Problem(name, "bundle.yaml gives its role to another file", "M3"))
        return None
    return role


def _check_kind(section: Section, kind: ModelKind.ValueType, roles: set[Role]) -> None:
    """Note roles that the kind must have and has not, and those that it may not have."""
    if kind not in KIND_ROLES:
        return
    needed, allowed = KIND_ROLES[kind]
    said = str(section.value("kind"))
    for role in sorted(set(needed) - roles):
        text = f"a model of kind {said!r} has a {role_name(role)} graph; give {file_of(role)} on the command line"
        section.problems.append(Problem("kind", text, "M3"))
    for role in sorted(roles.difference(needed, allowed)):
        section.problems.append(Problem("kind", f"a model of kind {said!r} has no {role_name(role)} graph", "M3"))


def _graph(section: Section, role: Role, files: Sequence[Path]) -> GraphDescription:
    file = section.text("file", "M4") or file_of(role)
    paths = [path for path in files if path.name == file]
    if not paths:
        section.wrong("file", f"is {file}, which is not on the command line", "M4")
    tensors = section.section("tensors")
    names = {name: tensors.text(name, "G5") or name for name in TENSORS[role]}
    tensors.refuse_rest()
    states = tuple(_state(entry) for entry in section.sections("states"))
    if states and role != STEP:
        section.wrong("states", "only a step graph has states", "G7")
    found = GraphDescription(
        where=section.where,
        role=role,
        path=paths[0] if paths else Path(file),
        tensors=names,
        states=states,
        drop=frozenset(section.texts("drop")),
        batch=section.text("batch", "G6"),
        tolerance=section.number("tolerance", DEFAULT_TOLERANCE, "M7", low=0.0),
    )
    section.refuse_rest()
    return found


def _state(section: Section) -> StateDescription:
    section.require("input", "the name of the graph's input that takes the state", "G7")
    section.require("output", "the name of the graph's output that gives the next state", "G7")
    found = StateDescription(
        where=section.where,
        input=section.text("input", "G7"),
        output=section.text("output", "G7"),
        initial_value=section.number("initial_value", 0.0, "G7"),
    )
    section.refuse_rest()
    return found
