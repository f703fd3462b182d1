"""What is odd about the folder of models, said once and not at every look."""

from rhapsode_server.observe.logs import Log

MOST = 1024
"""Subjects of which it is known at a time what was said of them; of more than that there is one line."""


class Remarks:
    """Each look at the folder finds the same oddities: a line is due where one is new, or another than before."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._said: dict[object, str] = {}
        self._found: set[object] = set()
        self._too_many = self._were_too_many = False

    def look(self) -> None:
        """Another look begins. Of what the one before it has not found nothing need be known, where there is much."""
        if len(self._said) >= MOST:
            self._said = {about: text for about, text in self._said.items() if about in self._found}
        self._found.clear()
        self._too_many, self._were_too_many = False, self._too_many

    def once(self, about: object, event: str, **fields: object) -> None:
        """Say it, unless that was the last that was said about the same."""
        text = f"{event} {fields}"
        if about not in self._said and len(self._said) >= MOST:
            self._leave_unsaid()
            return
        self._found.add(about)
        if self._said.get(about) != text:
            self._said[about] = text
            self._log.warning(event, **fields)

    def _leave_unsaid(self) -> None:
        if not self._too_many and not self._were_too_many:
            self._log.warning("more oddities than are said", said=MOST)
        self._too_many = True
