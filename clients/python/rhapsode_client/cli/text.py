"""`rhapsode text`: text, shown as it comes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, cast

import typer

from rhapsode_client.cli.connection import DEFAULT_CONNECTION, Connection
from rhapsode_client.cli.options import AsJson, ModelName, Seed, TextClass, Timeout
from rhapsode_client.cli.prompt import read_prompt
from rhapsode_client.cli.session import session
from rhapsode_client.cli.text_choice import Critic, CriticClass, KeepBest, keep_best
from rhapsode_client.cli.text_runs import TOKENS, TextRequest, run_endless, run_once
from rhapsode_client.cli.text_views import Candidates, JsonLines, Logprobs, Plain, View
from rhapsode_client.client import Client
from rhapsode_client.types import TextOptions

Prompt = Annotated[
    str | None,
    typer.Argument(metavar="PROMPT", help='What to continue; "-" or nothing reads a pipe.', show_default=False),
]
Temperature = Annotated[float | None, typer.Option(help="0: always the likeliest token.", show_default="1")]
TopK = Annotated[int | None, typer.Option(help="Draw among the k likeliest tokens.", show_default="all")]
TopP = Annotated[float | None, typer.Option(help="Draw among the likeliest that reach p in sum.", show_default="1")]
MinP = Annotated[float | None, typer.Option(help="Leave out tokens less than this times as likely as the likeliest.")]
RepetitionPenalty = Annotated[float | None, typer.Option(help="Above 1: repeat less.", show_default="1")]
PresencePenalty = Annotated[float | None, typer.Option(help="Above 0: repeat less.", show_default="0")]
FrequencyPenalty = Annotated[
    float | None, typer.Option(help="Above 0: repeat less, the more often a token has occurred.", show_default="0")
]
Stop = Annotated[list[str] | None, typer.Option("--stop", metavar="TEXT", help="End before it; may be repeated.")]
MaxTokens = Annotated[
    int | None,
    typer.Option(min=1, help="Most tokens to generate.", show_default=f"{TOKENS}; endless: the model's limit"),
]
CandidateCount = Annotated[int, typer.Option("--candidates", min=1, help="Independent continuations.")]
LogprobCount = Annotated[
    int | None,
    typer.Option("--logprobs", min=0, help="A line for each token, with so many of the likeliest beside it."),
]
Echo = Annotated[bool, typer.Option("--echo", help="Show the prompt too.")]
Endless = Annotated[bool, typer.Option("--endless", help="Go on until Ctrl-C, as said above.")]


def text(
    model: ModelName,
    prompt: Prompt = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    repetition_penalty: RepetitionPenalty = None,
    presence_penalty: PresencePenalty = None,
    frequency_penalty: FrequencyPenalty = None,
    stop: Stop = None,
    max_tokens: MaxTokens = None,
    seed: Seed = None,
    text_class: TextClass = None,
    candidates: CandidateCount = 1,
    best_of: KeepBest = None,
    critic: Critic = None,
    critic_class: CriticClass = None,
    logprobs: LogprobCount = None,
    echo: Echo = False,
    endless: Endless = False,
    as_json: AsJson = False,
    timeout: Timeout = None,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    r"""Generate text, and show it as it comes.

    For example:

    - `rhapsode text shakespeare-rnn "ROMEO:" --temperature 0.8 --seed 1`
    - `printf 'To be, or ' | rhapsode text shakespeare-rnn --echo --max-tokens 200`
    - `rhapsode text shakespeare-rnn --candidates 3 --stop $'\n\n'`
    - `rhapsode text headlines-rnn --class news --keep-best 16 --critic headlines-critic --critic-class news`
    - `rhapsode text shakespeare-rnn --json | jq -j 'select(.type == "chunk").text'`

    With --endless, a request that has generated all it may is followed by another: first by ones that resume it, so
    that the text is what one long request would have given; beyond the model's limit by fresh ones, prompted with the
    last tokens and with the next seed.
    """
    _check_endless(endless, candidates, best_of)
    options = _given(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        presence_penalty=presence_penalty,
        frequency_penalty=frequency_penalty,
        stop_sequences=stop,
        class_name=text_class,
        candidate_count=candidates,
        keep_best=keep_best(best_of, critic, critic_class),
        logprobs=logprobs,
        echo=echo,
    )
    request = TextRequest(model, read_prompt(prompt), options, max_tokens, seed, timeout)
    with session(connection) as client, _showing(_view(client, request, as_json=as_json)) as view:
        run_endless(client, request, view) if endless else run_once(client, request, view)


def _check_endless(endless: bool, candidates: int, best_of: int | None) -> None:
    if endless and candidates > 1:
        raise typer.BadParameter("--endless goes on with one candidate only")
    if endless and best_of:
        raise typer.BadParameter("--endless cannot wait for all candidates, as --keep-best does")


@contextmanager
def _showing(view: View) -> Iterator[View]:
    try:
        yield view
    finally:
        view.leave()


def _given(**options: object) -> TextOptions:
    """The options that the person gave; what they may hold was checked when they were read."""
    return cast("TextOptions", {name: value for name, value in options.items() if value is not None})


def _view(client: Client, request: TextRequest, *, as_json: bool) -> View:
    if as_json:
        return JsonLines()
    if "logprobs" in request.options:
        sequence = client.model(request.model, timeout=request.timeout).sequence
        return Logprobs(sequence.tokens if sequence else ())
    return Plain() if request.options["candidate_count"] == 1 else Candidates()
