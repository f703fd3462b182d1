"""`rhapsode music`: tunes that a model writes, as notes, MIDI, sound and picture."""

from pathlib import Path
from typing import Annotated

import typer

from rhapsode_client.cli.connection import DEFAULT_CONNECTION, Connection
from rhapsode_client.cli.options import AsJson, Seed, Timeout
from rhapsode_client.cli.session import session
from rhapsode_client.cli.wish import Wish
from rhapsode_client.errors import MissingExtra, UnreadableTune
from rhapsode_client.music.example import read_example
from rhapsode_client.music.line import KEY, METRE, Tune
from rhapsode_client.types import Model

MODEL = "fiddle-rnn"

ModelName = Annotated[
    str, typer.Argument(metavar="[MODEL]", help='A model of tunes, "name", "name@version" or "name@alias".')
]
Metre = Annotated[str | None, typer.Option(metavar="METRE", help="6/8, 2/4, C, C| …", show_default="drawn")]
Key = Annotated[str | None, typer.Option(metavar="KEY", help="G, Em, Ador, Bb …", show_default="drawn")]
After = Annotated[
    Path | None, typer.Option(metavar="FILE", exists=True, dir_okay=False, help="A tune in ABC to go on from.")
]
Count = Annotated[int, typer.Option(min=1, help="Tunes to write.")]
Temperature = Annotated[float | None, typer.Option(help="Lower: more like the usual tune.", show_default="1")]
Tempo = Annotated[float, typer.Option(min=20, max=400, help="Beats a minute, of three eighths in 6/8, a half in C|.")]
Out = Annotated[Path | None, typer.Option(metavar="PREFIX", help="Names the files.", show_default="the model's name")]


def music(
    model: ModelName = MODEL,
    metre: Metre = None,
    key: Key = None,
    after: After = None,
    count: Count = 1,
    seed: Seed = None,
    temperature: Temperature = None,
    tempo: Tempo = 100.0,
    out: Out = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Write tunes: PREFIX.abc to read, PREFIX.mid and PREFIX.wav to hear with all repeats, PREFIX.png to see.

    For example:

    - `rhapsode music --metre 6/8 --key G --seed 1`
    - `rhapsode music --count 5 --tempo 80 --out tunes/slow` writes tunes/slow-1.abc and so on
    - `rhapsode music --after kesh.abc --out another`

    With --after the model reads the example (its end, where it is longer than a prompt may be), and goes on in the same
    tune as if it had another part; that part is the new tune. Models of tunes forget everything between two tunes, so
    that a fresh one would owe the example nothing. Metre and key are the example's unless you say others.

    A tune that cannot be read as ABC is written anew from the next seed, eight times at most.
    """
    _check(metre, key)
    with session(connection) as client:
        try:
            from rhapsode_client.cli.tune_files import KINDS, write_tunes  # brings a library that few need
        except ModuleNotFoundError as error:
            raise MissingExtra(f"music needs {error.name}; install it with: pip install 'rhapsode[music]'") from error
        served = client.model(model, timeout=timeout)
        example = _example(after, served) if after else None
        wish = Wish(served, metre, key, example, temperature, tempo, seed, timeout)
        prefix = out or Path(served.name)
        bare = prefix.with_suffix("") if prefix.suffix in KINDS else prefix
        write_tunes(client, wish, count, bare, as_json=as_json)


def _example(path: Path, model: Model) -> Tune:
    """The example in the model's own signs. Raises UnreadableTune."""
    known = "".join(model.sequence.tokens) if model.sequence else ""
    try:
        return read_example(path.read_text("utf-8"), known)
    except UnicodeDecodeError as error:
        raise UnreadableTune(f"{path} is not UTF-8 at byte {error.start}") from None
    except UnreadableTune as error:
        raise UnreadableTune(f"{path}: {error.message}") from None


def _check(metre: str | None, key: str | None) -> None:
    if metre is not None and not METRE.fullmatch(metre):
        raise typer.BadParameter(f"{metre!r} is no metre; write for example 6/8, C or C|")
    if key is not None and not KEY.fullmatch(key):
        raise typer.BadParameter(f"{key!r} is no key; write for example G, F#m, Bb or Ador")
