"""Runs a request for text, once or for ever, and shows what comes to a view."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rhapsode_client.cli.endless import Leg, first_leg, next_leg
from rhapsode_client.cli.session import title
from rhapsode_client.cli.text_views import View
from rhapsode_client.client import Client
from rhapsode_client.streams import TextStream
from rhapsode_client.types import FinishReason, Model, ModelLimits, TextChunk, TextOptions

TOKENS = 500  # generated where nothing is said: a screenful of characters


@dataclass(frozen=True, slots=True)
class TextRequest:
    """What the person asked for; `timeout` in seconds for each request."""

    model: str
    prompt: str
    options: TextOptions
    max_tokens: int | None
    seed: int | None
    timeout: float | None


def run_once(client: Client, request: TextRequest, view: View) -> None:
    """Generate as much as was asked for. Raises RhapsodeError."""
    most = TOKENS if request.max_tokens is None else request.max_tokens
    leg = Leg(request.prompt, (), most, request.seed)
    with _open(client, request, leg) as stream:
        view.start(stream.started)
        for chunk in stream:
            view.chunk(chunk)
        view.end(stream.started, stream.finished)


def run_endless(client: Client, request: TextRequest, view: View) -> None:
    """Generate until the model ends the text, or somebody the process. Raises RhapsodeError."""
    served = client.model(request.model, timeout=request.timeout)
    request = replace(request, model=title(served))  # one version to the end, wherever an alias points by then
    limits = _limits(served, request.options.get("class_name", ""))
    leg = first_leg(request.prompt, request.max_tokens, request.seed, limits)
    echo = request.options.get("echo", False)
    prompt_ids: tuple[int, ...] = ()
    while True:
        with _open(client, request, leg, echo=True) as stream:
            view.start(stream.started)
            chunks = [_shown(chunk, view, echo=echo) for chunk in stream]
        prompt_ids = _tokens(chunks, echoed=True) or prompt_ids
        if stream.finished[0].reason is not FinishReason.MAX_TOKENS:
            view.end(stream.started, stream.finished)
            return
        leg = next_leg(leg, prompt_ids, _tokens(chunks, echoed=False), stream.started.seed, request.max_tokens, limits)
        echo = False


def _limits(model: Model, class_name: str) -> ModelLimits:
    """The model's limits of a prompt beside the class's prefix."""
    classes = model.sequence.classes if model.sequence else ()
    prefix = next((len(one.prefix_token_ids) for one in classes if one.name == class_name), 0)
    return replace(model.limits, prompt_tokens=model.limits.prompt_tokens - prefix)


def _open(client: Client, request: TextRequest, leg: Leg, *, echo: bool | None = None) -> TextStream:
    options = leg.options(request.options)
    if echo is not None:
        options["echo"] = echo
    return client.stream_text(request.model, leg.prompt, timeout=request.timeout, **options)


def _shown(chunk: TextChunk, view: View, *, echo: bool) -> TextChunk:
    if echo or not chunk.echoed:
        view.chunk(chunk)
    return chunk


def _tokens(chunks: Sequence[TextChunk], *, echoed: bool) -> tuple[int, ...]:
    return tuple(token for chunk in chunks if chunk.echoed is echoed for token in chunk.token_ids)
