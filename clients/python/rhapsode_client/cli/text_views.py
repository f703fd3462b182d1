"""How generated text is shown: as plain text, candidate by candidate, token by token or as JSON lines."""

import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

from rhapsode_client.cli.terminal import note, write, write_json
from rhapsode_client.types import PositionLogprobs, TextChunk, TextFinished, TextStarted


class View(Protocol):
    """Is told what a stream brings, in its order."""

    def start(self, started: TextStarted) -> None:
        """The stream has begun."""
        ...

    def chunk(self, chunk: TextChunk) -> None:
        """New tokens have come."""
        ...

    def end(self, started: TextStarted, ends: Sequence[TextFinished]) -> None:
        """Every candidate of the stream that began with `started` has ended."""
        ...

    def leave(self) -> None:
        """Nothing more will come, whether all has ended or a person or an error has ended it."""
        ...


class Plain:
    """The text itself, at once; on a terminal it ends with a new line, in a pipe it is exactly the text."""

    def __init__(self) -> None:
        self._last = "\n"

    def start(self, started: TextStarted) -> None:
        """Show nothing."""

    def chunk(self, chunk: TextChunk) -> None:
        """Show the text."""
        write(chunk.text)
        self._last = chunk.text[-1:] or self._last

    def end(self, started: TextStarted, ends: Sequence[TextFinished]) -> None:
        """End the line, and say how it ended to people."""
        self.leave()
        summarize(started, ends)

    def leave(self) -> None:
        """On a terminal, let the next line begin at its beginning."""
        if self._last != "\n" and sys.stdout.isatty():
            write("\n")
        self._last = "\n"


class Candidates:
    """Several candidates, each whole under a heading."""

    def __init__(self) -> None:
        self._texts: defaultdict[int, str] = defaultdict(str)

    def start(self, started: TextStarted) -> None:
        """Show nothing."""

    def chunk(self, chunk: TextChunk) -> None:
        """Keep the text for the end."""
        self._texts[chunk.candidate] += chunk.text

    def end(self, started: TextStarted, ends: Sequence[TextFinished]) -> None:
        """Show every candidate."""
        for end in ends:
            text = self._texts[end.candidate]
            how = f", row {end.choice.row}, score {end.choice.score:.4g}" if end.choice else ""
            write(f"── candidate {end.candidate}{how} ──\n{text}" + ("" if text.endswith("\n") else "\n"))
        summarize(started, ends)

    def leave(self) -> None:
        """Show nothing."""


class Logprobs:
    """A line for each token: its place, itself, its log-probability and the likeliest tokens in its place."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._vocabulary = vocabulary

    def start(self, started: TextStarted) -> None:
        """Show nothing."""

    def chunk(self, chunk: TextChunk) -> None:
        """Show the lines of a chunk; an echoed prompt has no log-probabilities."""
        for offset, (token, position) in enumerate(zip(chunk.token_ids, chunk.logprobs, strict=False)):
            write(self._line(chunk.candidate, chunk.first_token_index + offset, token, position))

    def _line(self, candidate: int, index: int, token: int, position: PositionLogprobs) -> str:
        top = (f"{self._name(entry.token_id)} {entry.logprob:.4f}" for entry in position.top)
        return "\t".join((str(candidate), str(index), self._name(token), f"{position.logprob:.4f}", *top)) + "\n"

    def _name(self, token: int) -> str:
        return repr(self._vocabulary[token])

    def end(self, started: TextStarted, ends: Sequence[TextFinished]) -> None:
        """Say how it ended, to people."""
        summarize(started, ends)

    def leave(self) -> None:
        """Show nothing."""


class JsonLines:
    """One JSON object a line: {"type": "started" | "chunk" | "finished", ...}."""

    def start(self, started: TextStarted) -> None:
        """Show the start."""
        write_json(started, "started")

    def chunk(self, chunk: TextChunk) -> None:
        """Show the chunk."""
        write_json(chunk, "chunk")

    def end(self, started: TextStarted, ends: Sequence[TextFinished]) -> None:
        """Show every end; the start has been shown."""
        del started
        for end in ends:
            write_json(end, "finished")

    def leave(self) -> None:
        """Show nothing."""


def summarize(started: TextStarted, ends: Sequence[TextFinished]) -> None:
    """Say to people what it was, and what makes it again."""
    tokens = sum(end.usage.generated_token_count for end in ends)
    reasons = ", ".join(sorted({str(end.reason).replace("_", " ") for end in ends}))
    seconds = max(end.timings.total_seconds for end in ends)
    note(f"{started.model}@{started.version} · seed {started.seed} · {tokens} tokens in {seconds:.2f} s · {reasons}")
