"""`rhapsode score`: how likely texts are under a model."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from rhapsode_client.cli.connection import DEFAULT_CONNECTION, Connection
from rhapsode_client.cli.options import AsJson, ModelName, TextClass, Timeout
from rhapsode_client.cli.prompt import read_texts
from rhapsode_client.cli.session import session
from rhapsode_client.cli.terminal import results, write_json
from rhapsode_client.cli.text_views import Logprobs
from rhapsode_client.client import Client
from rhapsode_client.types import ScoreResult, TextChunk, TextScore

Texts = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT", help='What to score; "-" or nothing reads a pipe.', show_default=False),
]
PerToken = Annotated[bool, typer.Option("--per-token", help="A line for each token instead of the table.")]
Top = Annotated[
    int, typer.Option(min=0, help="With --per-token or --json: so many of the likeliest tokens beside each.")
]

SHOWN = 60  # characters of a text in the table


def score(
    model: ModelName,
    texts: Texts = None,
    per_token: PerToken = False,
    top: Top = 0,
    text_class: TextClass = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    r"""Say how likely texts are: the fewer bits per character, the likelier.

    The perplexity is that of a token. With --per-token, a line has the text's number from zero up, the token's place
    in it, the token, its log-probability in nats, and the likeliest tokens in its place.

    For example:

    - `rhapsode score shakespeare-rnn "To be, or not to be" "To bee, or nut to bee"`
    - `rhapsode score shakespeare-rnn "To be" --per-token --top 3`
    - `printf 'To be, or ' | rhapsode score shakespeare-rnn --json | jq .bits_per_character`
    """
    given = read_texts(texts, "score")
    with session(connection) as client:
        result = client.score(model, given, top_logprobs=top, class_name=text_class or "", timeout=timeout)
        if as_json:
            _write(result, given)
        elif per_token:
            _show_tokens(client, result, timeout)
        else:
            results().print(score_table(result.scores, given))


def _write(result: ScoreResult, texts: Sequence[str]) -> None:
    for text, one in zip(texts, result.scores, strict=True):
        origin = {"model": result.model, "version": result.version, "fingerprint": result.fingerprint}
        write_json({**origin, "text": text, **asdict(one)}, "score")


def _show_tokens(client: Client, result: ScoreResult, timeout: float | None) -> None:
    sequence = client.model(f"{result.model}@{result.version}", timeout=timeout).sequence
    view = Logprobs(sequence.tokens if sequence else ())
    for number, one in enumerate(result.scores):
        first = len(one.token_ids) - len(one.logprobs)
        view.chunk(TextChunk(number, "", one.token_ids[first:], one.logprobs, first, echoed=False))


def shown(text: str) -> str:
    """A text as a table shows it: its beginning, in quotes."""
    return repr(text) if len(text) <= SHOWN else f"{text[:SHOWN]!r}…"


def score_table(scores: Sequence[TextScore], texts: Sequence[str]) -> Table:
    """A row for each text, which is shown as far as it fits."""
    table = Table(box=None)
    table.add_column("text", overflow="fold")
    for heading in ("tokens", "bits per character", "perplexity"):
        table.add_column(heading, justify="right", no_wrap=True)
    for text, one in zip(texts, scores, strict=True):
        table.add_row(
            Text(shown(text)), str(len(one.token_ids)), f"{one.bits_per_character:.3f}", f"{one.perplexity:.4g}"
        )
    return table
