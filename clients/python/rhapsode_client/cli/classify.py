"""`rhapsode classify`: of which class texts are."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from rhapsode_client.cli.connection import DEFAULT_CONNECTION, Connection
from rhapsode_client.cli.options import AsJson, ModelName, Timeout
from rhapsode_client.cli.prompt import read_texts
from rhapsode_client.cli.score import shown
from rhapsode_client.cli.session import session
from rhapsode_client.cli.terminal import results, write_json
from rhapsode_client.types import ClassificationsResult

Texts = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT", help='What to classify; "-" or nothing reads a pipe.', show_default=False),
]
Top = Annotated[int, typer.Option(min=1, help="So many of the likeliest classes beside each text.")]


def classify(
    model: ModelName,
    texts: Texts = None,
    top: Top = 3,
    as_json: AsJson = False,
    timeout: Timeout = None,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Say of which class texts are, by a critic of texts.

    For example:

    - `rhapsode classify headlines-critic "You won't believe what this cat did"`
    - `rhapsode classify headlines-critic "Senate passes budget" --json | jq .class_probabilities`
    """
    given = read_texts(texts, "classify")
    with session(connection) as client:
        result = client.classify_text(model, given, timeout=timeout)
        if as_json:
            _write(result, given)
        else:
            results().print(class_table(result, given, top))


def _write(result: ClassificationsResult, texts: Sequence[str]) -> None:
    for text, one in zip(texts, result.classifications, strict=True):
        origin = {"model": result.model, "version": result.version, "fingerprint": result.fingerprint}
        named = dict(zip(result.classes, one.class_probabilities, strict=True))
        record = {"text": text, "token_count": one.token_count, "class_probabilities": named}
        write_json({**origin, **record}, "classification")


def class_table(result: ClassificationsResult, texts: Sequence[str], top: int) -> Table:
    """A row for each text with its likeliest classes, likeliest first."""
    table = Table(box=None)
    table.add_column("text", overflow="fold")
    table.add_column("likely classes")
    for text, one in zip(texts, result.classifications, strict=True):
        ranked = sorted(zip(one.class_probabilities, result.classes, strict=True), key=lambda pair: -pair[0])
        likely = ", ".join(f"{name} {probability:.3f}" for probability, name in ranked[:top])
        table.add_row(Text(shown(text)), Text(likely))
    return table
