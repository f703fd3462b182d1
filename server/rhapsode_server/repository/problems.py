"""What is wrong with a bundle, said so that its maker can put it right."""

from collections.abc import Iterable
from dataclasses import dataclass

from rhapsode_server.errors import BundleError


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule. `rule` is its number in docs/bundle.md, `where` the file, field or tensor."""

    rule: str
    where: str
    text: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.where}: {self.text} (docs/bundle.md, {self.rule})"


def refusal(bundle: str, *problems: Problem) -> BundleError:
    """The error with a line for each problem; `bundle` is "name/version"."""
    return BundleError("\n".join(f"bundle {bundle}: {problem}" for problem in problems))


def refuse(bundle: str, problems: Iterable[Problem]) -> None:
    """Raise BundleError if there is any problem."""
    if found := tuple(problems):
        raise refusal(bundle, *found)
