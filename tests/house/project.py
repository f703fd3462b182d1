"""Where the project's files lie, for the tests that read them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository's top folder."""

SOURCES = (
    Path("protos"),
    Path("server"),
    Path("exporter"),
    Path("clients/python"),
)
"""The source roots that hold an importable package each, relative to ROOT."""

HOUSES = ("server", "exporter", "clients", "tests", "benchmarks", "deploy")
"""The folders whose Python files are written by hand, relative to ROOT."""


@dataclass(frozen=True, slots=True)
class Import:
    """A module named in an import statement, seen from the module `importer`."""

    importer: str
    imported: str
    line: int


def python_files(folder: Path) -> list[Path]:
    """All Python files below a folder but generated ones, sorted."""
    return sorted(path for path in folder.rglob("*.py") if not path.stem.endswith(("_pb2", "_pb2_grpc")))


def module_name(path: Path, source: Path) -> str:
    """The dotted name under which `path` is imported from the root `source`."""
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(text: str, importer: str, package: str) -> Iterator[Import]:
    """Every import in a module's text, those inside functions and under TYPE_CHECKING included.

    `from a import b` is named as "a.b", which is a module or a name of the module a: prefixes tell either.
    `package` is what relative imports start from.
    """
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (Import(importer, alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            yield from (Import(importer, f"{base}.{alias.name}", node.lineno) for alias in node.names)


def all_imports() -> list[Import]:
    """Every import of every hand-written module of the four packages."""
    found: list[Import] = []
    for source in (ROOT / root for root in SOURCES):
        for path in python_files(source):
            name = module_name(path, source)
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            found.extend(imports_of(path.read_text(encoding="utf-8"), name, package))
    return found


def is_within(module: str, prefix: str) -> bool:
    """Whether a dotted name is `prefix` or lies below it."""
    return module == prefix or module.startswith(f"{prefix}.")


def _base(node: ast.ImportFrom, package: str) -> str:
    if node.level == 0:
        return node.module or ""
    parents = package.split(".")
    kept = parents[: len(parents) - node.level + 1]
    return ".".join([*kept, node.module] if node.module else kept)
