"""`rhapsode tokenize`: a model's tokens of texts, or the text of tokens."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated

import typer

from rhapsode_client.cli.connection import DEFAULT_CONNECTION, Connection
from rhapsode_client.cli.options import AsJson, ModelName, Timeout
from rhapsode_client.cli.prompt import read_prompt
from rhapsode_client.cli.session import session
from rhapsode_client.cli.terminal import write, write_json
from rhapsode_client.types import Prompt, TokenizedText, TokenizeResult

Texts = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT", help='What to cut; "-" or nothing reads a pipe.', show_default=False),
]
Ids = Annotated[
    list[str] | None,
    typer.Option("--ids", metavar="IDS", help="Token ids to put together, such as 20,8,5; may be given again."),
]


def tokenize(
    model: ModelName,
    texts: Texts = None,
    ids: Ids = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    r"""Cut texts into a model's tokens, or put tokens together.

    A line has the text's number from zero up, the token's place in it, its id and what it stands for; of a part of a
    character that is its bytes. With --ids, a line has the text of the tokens. With --json, pieces are in base64.

    For example:

    - `rhapsode tokenize shakespeare-rnn "To be"`
    - `rhapsode tokenize shakespeare-rnn --ids 20,8,5`
    - `printf 'To be' | rhapsode tokenize shakespeare-rnn --json | jq '.token_ids | length'`
    """
    if texts and ids:
        raise typer.BadParameter("texts and --ids exclude each other")
    given: Sequence[Prompt] = [*map(_ids, ids)] if ids else [read_prompt(text) for text in texts or (None,)]
    with session(connection) as client:
        result = client.tokenize(model, given, timeout=timeout)
        if as_json:
            _write(result)
        elif ids:
            write("".join(f"{one.text}\n" for one in result.texts))
        else:
            write("".join(_lines(result.texts)))


def _ids(given: str) -> list[int]:
    try:
        return [int(number) for number in given.split(",")]
    except ValueError:
        raise typer.BadParameter(f"token ids are numbers with commas between them, not {given!r}") from None


def _write(result: TokenizeResult) -> None:
    for one in result.texts:
        pieces = [b64encode(piece).decode() for piece in one.pieces]
        record = {"text": one.text, "token_ids": one.token_ids, "pieces": pieces}
        write_json({"model": result.model, "version": result.version, **record}, "tokens")


def _lines(texts: Sequence[TokenizedText]) -> list[str]:
    return [
        f"{number}\t{place}\t{identity}\t{shown(piece)}\n"
        for number, one in enumerate(texts)
        for place, (identity, piece) in enumerate(zip(one.token_ids, one.pieces, strict=True))
    ]


def shown(piece: bytes) -> str:
    """A piece in quotes: as text where it is some, else as its bytes."""
    try:
        return repr(piece.decode())
    except UnicodeDecodeError:
        return repr(piece)
