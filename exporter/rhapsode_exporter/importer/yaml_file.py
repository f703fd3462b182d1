"""Reading a YAML file into plain values, or saying why it cannot be read."""

from collections.abc import Hashable, Iterator
from pathlib import Path

import yaml

from rhapsode_exporter.importer.problems import Problem
from rhapsode_exporter.importer.section import kind_of

Values = dict[Hashable, object]


def read_yaml(path: Path, most: int) -> tuple[Values, list[Problem]]:
    """The mapping in a YAML file of at most `most` bytes, empty where it has none, and what keeps it from being read.

    Only YAML's own plain types are read: a tag that would make a Python object is refused.
    """
    try:
        if path.stat().st_size > most:
            return {}, [Problem(path.name, f"is larger than {most} bytes; put the vocabulary into a file of its own")]
        content = path.read_text(encoding="utf-8-sig")
        _refuse_repeats(yaml.compose(content, Loader=yaml.SafeLoader))
        found = yaml.safe_load(content)
    except OSError as error:
        return {}, [Problem(path.name, f"cannot be read: {error.strerror}")]
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError, TypeError) as error:
        return {}, [Problem(path.name, f"is not YAML: {_reason(error)}")]
    if not isinstance(found, dict):
        return {}, [Problem(path.name, f"is {kind_of(found)}, not a mapping of keys to values")]
    return found, []


def _reason(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def _refuse_repeats(root: yaml.Node | None) -> None:
    """Raise yaml.YAMLError where a mapping has a key twice: YAML's readers keep the last one and say nothing."""
    for node in _nodes(root):
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in seen:
                    problem = f"the key {key.value!r} stands twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)


def _nodes(root: yaml.Node | None) -> Iterator[yaml.Node]:
    """Every node once, however often an alias names it."""
    waiting = [] if root is None else [root]
    met: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) not in met:
            met.add(id(node))
            yield node
            if isinstance(node, yaml.MappingNode):
                waiting.extend(part for pair in node.value for part in pair)
            elif isinstance(node, yaml.SequenceNode):
                waiting.extend(node.value)
