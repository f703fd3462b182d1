"""Pictures that a command makes, each as a file of its own beside what it was made of."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import typer

from rhapsode_client.types import ImageFormat

FORMATS: Mapping[str, ImageFormat] = MappingProxyType(
    {".png": ImageFormat.PNG, ".webp": ImageFormat.WEBP, ".jpg": ImageFormat.JPEG, ".jpeg": ImageFormat.JPEG}
)


def format_of(path: Path) -> ImageFormat:
    """The format that a file's name asks for. Raises BadParameter where that is none of a picture."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise typer.BadParameter(f"a picture's name ends with one of {', '.join(FORMATS)}") from None


def save(path: Path, content: bytes) -> None:
    """Write a file, in a folder that may not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
