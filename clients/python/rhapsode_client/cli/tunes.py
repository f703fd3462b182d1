"""Asks a model of tunes for tunes, until it has written some that can be read."""

from collections.abc import Iterator
from dataclasses import dataclass

import typer

from rhapsode_client.cli.wish import Wish
from rhapsode_client.client import Client
from rhapsode_client.errors import UnreadableTune
from rhapsode_client.music.example import last_part
from rhapsode_client.music.line import Tune, read_line
from rhapsode_client.music.reading import read_abc
from rhapsode_client.music.written import Written
from rhapsode_client.types import FinishReason, Model, TextOptions, TextStarted

END = "\n"  # after a tune's line
TOKENS = 1000  # that a tune may have
GOING_ON = 24  # tokens after an example before which no tune may end: else the model ends where the example did
TRIES = 8  # seeds for each tune


@dataclass(frozen=True, slots=True)
class Composed:
    """A tune that a model has written, and what makes it again."""

    tune: Tune
    abc: str
    written: Written
    started: TextStarted


@dataclass(frozen=True, slots=True)
class _Reply:
    text: str
    token_ids: tuple[int, ...]
    ended: bool
    started: TextStarted


def compose(client: Client, wish: Wish, count: int) -> Iterator[Composed]:
    """So many tunes, each from the next seed that brings one. Raises UnreadableTune where TRIES in a row do not."""
    seed = wish.seed
    for _ in range(count):
        composed = _next(client, wish, seed)
        seed = _after(composed.started.seed)
        yield composed


def _next(client: Client, wish: Wish, seed: int | None) -> Composed:
    why = ""
    for _ in range(TRIES):
        reply = _continued(client, wish, wish.example, seed) if wish.example else _fresh(client, wish, seed)
        try:
            return _composed(reply, wish.tempo)
        except UnreadableTune as error:
            why = error.message
        typer.echo(f"rhapsode: seed {reply.started.seed} brought no tune: {why}", err=True)
        seed = _after(reply.started.seed)
    raise UnreadableTune(f"{TRIES} seeds brought no tune; of the last one: {why}")


def _composed(reply: _Reply, tempo: float) -> Composed:
    if not reply.ended:
        raise UnreadableTune("it was not at its end when it had all tokens that it may have")
    tune = read_line(reply.text)
    started = reply.started
    abc = tune.abc(f"{started.model}@{started.version}, seed {started.seed}", tempo)
    return Composed(tune, abc, read_abc(abc), started)


def _fresh(client: Client, wish: Wish, seed: int | None) -> _Reply:
    """A tune's line. Where only the key is asked for, the model says the metre; where both are, the unit."""
    prefix = f"M:{wish.metre} " if wish.metre else ""
    if wish.key:
        head = _ask(client, wish, _start(wish.model) + prefix, {"stop_sequences": ["K:", END]}, seed)
        prefix, seed = f"{prefix}{head.text.strip()}".strip() + f" K:{wish.key} ", head.started.seed
    reply = _ask(client, wish, _start(wish.model) + prefix, {"stop_sequences": [END]}, seed)
    return _Reply(prefix + reply.text, reply.token_ids, reply.ended, reply.started)


def _continued(client: Client, wish: Wish, example: Tune, seed: int | None) -> _Reply:
    """What the model writes after the end of the example in the same line, under the example's metre, unit and key."""
    tune = Tune(wish.metre or example.metre, example.unit, wish.key or example.key, example.body)
    room = wish.model.limits.prompt_tokens - len(_start(wish.model) + tune.prefix) - 2
    body = last_part(tune.body, room).rstrip()
    prompt = _start(wish.model) + tune.prefix + body + ("" if body.endswith(("|", ":")) else "||")
    first = _ask(client, wish, prompt, {"logit_bias": _no_end(wish.model), "max_tokens": GOING_ON}, seed)
    going_on: TextOptions = {"received_token_ids": first.token_ids, "stop_sequences": [END]}
    rest = _ask(client, wish, prompt, going_on, first.started.seed)
    return _Reply(tune.prefix + (first.text + rest.text).lstrip("|: "), rest.token_ids, rest.ended, rest.started)


def _ask(client: Client, wish: Wish, prompt: str, options: TextOptions, seed: int | None) -> _Reply:
    options = {"max_tokens": min(TOKENS, wish.model.limits.generated_tokens), **options}
    if seed is not None:
        options["seed"] = seed
    if wish.temperature is not None:
        options["temperature"] = wish.temperature
    name = f"{wish.model.name}@{wish.model.version}"
    result = client.generate_text(name, prompt, timeout=wish.timeout, **options)
    (candidate,) = result.candidates
    ended = candidate.finished.reason is not FinishReason.MAX_TOKENS
    return _Reply(candidate.text.rstrip(END), candidate.token_ids, ended, result.started)


def _start(model: Model) -> str:
    """What a model reads before a tune: its start token, which is fed by itself only where a prompt is empty."""
    sequence = model.sequence
    return sequence.tokens[sequence.start_token] if sequence and sequence.start_token is not None else ""


def _no_end(model: Model) -> dict[int, float]:
    """A bias that keeps a model from ending its tune."""
    sequence = model.sequence
    tokens = sequence.tokens if sequence else ()
    ends = {tokens.index(END)} if END in tokens else set()
    if sequence and sequence.end_token is not None:
        ends.add(sequence.end_token)
    return dict.fromkeys(ends, -100.0)


def _after(seed: int) -> int:
    return (seed + 1) % 2**64
