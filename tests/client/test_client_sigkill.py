"""Ten times a real server is killed under twenty running streams; each of them ends as if nothing had been."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from client.readers import PATIENCE, Asked, Progress, Texts, reading
from client.scripted import short_folder
from rhapsode_client import ChannelSettings, Client, FinishReason, RetryPolicy
from rhapsode_client.types import TextOptions
from support import bundles
from support.server import Process, process
from support.tally import started_calls

KILLS, READERS, STOPS = 10, 20, 4
TOKENS = 4000  # of which some 1,500 are made before the last kill
MODEL = "tiny-text"
STEP_BY_STEP = ("--run-steps", "1")  # slower, so that no stream ends too soon
SOON = ChannelSettings(resume=RetryPolicy(attempts=1000, initial_backoff=0.05, max_backoff=0.05))


@pytest.mark.timeout(300)
def test_twenty_streams_survive_ten_kills(tmp_path: Path) -> None:
    bundles.stepper().write(tmp_path)
    with short_folder() as folder:
        address = f"unix:{folder}/s"
        asked, expected = undisturbed(tmp_path, address)
        with serving(tmp_path, address, *STEP_BY_STEP) as first, reading(address, MODEL, asked, SOON) as (seen, texts):
            kill_when_all_have_got_on(first, seen, [0] * READERS, texts)
            for _ in range(KILLS - 1):
                with serving(tmp_path, address, *STEP_BY_STEP) as server:
                    kill_when_all_have_got_on(server, seen, seen.now(), texts)
            with serving(tmp_path, address):
                got = [text.result(PATIENCE) for text in texts]
    assert sum(one == other for one, other in zip(got, expected, strict=True)) == READERS
    assert got == expected
    for number, candidates in enumerate(got):
        for candidate in candidates.values():
            assert candidate.places == list(range(len(candidate.ids)))
            assert candidate.end is not None
            assert candidate.end[0] is (FinishReason.STOP_SEQUENCE if number < STOPS else FinishReason.MAX_TOKENS)


def kill_when_all_have_got_on(
    server: Process, seen: Progress, before: Sequence[int], texts: Sequence["Future[Texts]"]
) -> None:
    """Wait until every reader has had something from this server, which serves them all, and kill it."""
    seen.wait_beyond(before)
    while started_calls(server, "StreamText") < READERS:
        seen.wait_beyond(seen.now())  # what a reader had was still from the server before
    assert [text.result() for text in texts if text.done()] == []
    server.process.kill()
    server.process.wait()


@contextmanager
def serving(models: Path, address: str, *flags: str) -> Iterator[Process]:
    with process(models, "--address", address, "--max-batch", "32", *flags) as server:
        yield server


def undisturbed(models: Path, address: str) -> tuple[Sequence[Asked], Sequence[Texts]]:
    """What is asked for, and what all get of a server that nobody kills."""
    with serving(models, address):
        with Client(address) as client:
            plain = [client.generate_text(MODEL, prompt(number), **options(number)).text for number in range(STOPS)]
        asked = [Asked(prompt(number), options(number)) for number in range(READERS)]
        for one, text in zip(asked, plain, strict=False):
            one.options["stop_sequences"] = [late_piece(text), "no such thing"]
        with reading(address, MODEL, asked, SOON) as (_, texts):
            return asked, [text.result(PATIENCE) for text in texts]


def prompt(number: int) -> str:
    """Prompts of several lengths, none among them."""
    return "to be, or not to be. "[: 3 * (number % 7)] * (1 + 20 * (number % 3))


def options(number: int) -> TextOptions:
    """A seed for each, and with it every kind of request."""
    common: TextOptions = {"seed": 1000 + number, "max_tokens": TOKENS}
    if number < STOPS:
        return common
    kinds: Sequence[TextOptions] = (
        {"logprobs": 0},
        {"logprobs": 3},
        {"echo": True},
        {"echo": True, "logprobs": 1},
        {"candidate_count": 2},
        {"candidate_count": 2, "echo": True, "logprobs": 2},
        {"temperature": 0},
        {"temperature": 0.7, "top_k": 5, "logprobs": 5},
        {"top_p": 0.9, "min_p": 0.01, "repetition_penalty": 1.1},
        {"frequency_penalty": 0.01, "presence_penalty": 0.1, "logit_bias": {3: 1.5}},
    )
    return common | kinds[(number - STOPS) % len(kinds)]


def late_piece(text: str) -> str:
    """A piece of the text that first stands far behind in it."""
    place = len(text) * 9 // 10
    pieces = (text[place : place + length] for length in range(2, 100))
    return next(piece for piece in pieces if text.find(piece) == place)
