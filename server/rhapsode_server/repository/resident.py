"""A model in memory, as far as the repository has to know it."""

from typing import Protocol


class Resident(Protocol):
    """One that is loaded."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def version(self) -> int:
        """The model's version."""

    @property
    def digest(self) -> str:
        """SHA-256 of bundle.json."""

    @property
    def fingerprint(self) -> str:
        """Of what it makes."""

    @property
    def size(self) -> int:
        """Bytes of its bundle."""
