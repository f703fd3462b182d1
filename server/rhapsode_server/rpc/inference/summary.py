"""What came of the requests of one stream: for its line in the log, whose own tasks note nothing there."""

from collections import Counter
from dataclasses import dataclass, field

from rhapsode_server.observe.logs import note
from rhapsode_server.rpc.status import mask


@dataclass(slots=True)
class Summary:
    """Lives as long as its stream."""

    requests: int = 0
    sent: int = 0
    """Of their replies."""
    items: int = 0
    models: set[str] = field(default_factory=set)
    blamed: str = ""
    """The model of the request that the stream ended for."""
    failed: Counter[str] = field(default_factory=Counter)
    """By reason."""

    def failed_by(self, error: Exception) -> None:
        """A request has failed."""
        self.failed[mask(error).reason] += 1

    def note(self) -> None:
        """Say it in the line of the stream."""
        model = self.blamed or (next(iter(self.models)) if len(self.models) == 1 else "")
        if model:
            note(model=model)
        if self.failed:
            note(failed_by=", ".join(f"{reason} {count}" for reason, count in self.failed.most_common()))
        note(
            items=self.items,
            requests=self.requests,
            requests_failed=self.failed.total(),
            requests_unanswered=self.requests - self.sent,
        )
