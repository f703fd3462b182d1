"""A continuous batcher for asyncio servers: one background task steps all open texts as one batch."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import numpy as np
from benchmarks.rivals.graphs import Floats, States, Stepper, Tokens, draw


@dataclass(slots=True, eq=False)
class _Text:
    """A text being written: the numbers that draw its tokens, one each, and the queue to its reader."""

    uniforms: Floats
    tokens_a_message: int
    done: int = 0
    pending: list[int] = field(default_factory=list)
    queue: "asyncio.Queue[list[int]]" = field(default_factory=asyncio.Queue)
    left: bool = False


class ContinuousBatcher:
    """Texts join and leave between steps; the states of those that stay are not copied while nobody does."""

    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper
        self._arrived: list[_Text] = []
        self._texts: list[_Text] = []
        self._tokens: Tokens = np.empty(0, dtype=np.int64)
        self._states: States = stepper.begin(0)
        self._task: asyncio.Task[None] | None = None

    async def stream(self, uniforms: Floats, tokens_a_message: int) -> AsyncGenerator[list[int], None]:
        """Write a text of a token for each of `uniforms`: the first token at once, then so many a message."""
        text = _Text(uniforms, tokens_a_message)
        self._arrived.append(text)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            written = 0
            while written < len(uniforms):
                tokens = await text.queue.get()
                written += len(tokens)
                yield tokens
        finally:
            text.left = True

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._change():
            # In a thread, so that messages leave on the other core while the next step runs.
            tokens = await loop.run_in_executor(None, self._step)
            for text, token in zip(self._texts, tokens, strict=True):
                _deliver(text, token)

    def _change(self) -> bool:
        """Let finished texts go and new ones in; whether any is left."""
        stay = [row for row, text in enumerate(self._texts) if not text.left and text.done < len(text.uniforms)]
        if len(stay) < len(self._texts):
            self._texts = [self._texts[row] for row in stay]
            self._tokens = self._tokens[stay]
            self._states = [state[stay] for state in self._states]
        if self._arrived:
            new, self._arrived = self._arrived, []
            self._texts += new
            starts = np.full(len(new), self._stepper.start_token, dtype=np.int64)
            self._tokens = np.concatenate([self._tokens, starts])
            begun = self._stepper.begin(len(new))
            self._states = [np.concatenate(pair) for pair in zip(self._states, begun, strict=True)]
        return bool(self._texts)

    def _step(self) -> list[int]:
        column = np.array([text.uniforms[text.done] for text in self._texts], dtype=np.float32)
        logits, self._states = self._stepper.step(self._tokens, self._states)
        self._tokens = draw(logits, column)
        return [int(token) for token in self._tokens]


def _deliver(text: _Text, token: int) -> None:
    text.pending.append(token)
    text.done += 1
    if text.done == 1 or len(text.pending) == text.tokens_a_message or text.done == len(text.uniforms):
        text.queue.put_nowait(text.pending)
        text.pending = []
