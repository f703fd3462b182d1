"""A server that operators talk to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Administered:
    """Where its models are served, where it is administered, and the folder that it loads from."""

    address: str
    admin_address: str
    models: Path

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of a command that is meant for it, and shows wide tables."""
        return {"RHAPSODE_ADDRESS": self.address, "RHAPSODE_ADMIN_ADDRESS": self.admin_address, "COLUMNS": "200"}
