"""What keeps a graph from becoming a bundle, said so that its maker can put it right."""

from collections.abc import Sequence
from dataclasses import dataclass

from rhapsode_exporter.errors import ImportRefusedError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `where` is the key of bundle.yaml, or the file and its tensor.

    `text` says what is wrong and how to mend it; `rule` is the line of docs/bundle.md that is not met, empty where it
    is only bundle.yaml that cannot be read.
    """

    where: str
    text: str
    rule: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.where}: {self.text}" + (f" (docs/bundle.md, {self.rule})" if self.rule else "")


def refuse(source: str, problems: Sequence[Problem]) -> None:
    """Raise ImportRefusedError, with a line for each, if there is any problem; `source` is the description's file."""
    if problems:
        lines = "".join(f"\n  {problem}" for problem in dict.fromkeys(problems))
        raise ImportRefusedError(f"{source} cannot be imported:{lines}")
