"""Where bundles lie: models/<name>/<version>/."""

from collections.abc import Sequence
from pathlib import Path

from rhapsode_server.errors import StartupError


def bundle_folders(models: Path) -> Sequence[Path]:
    """Every folder that should hold a bundle; StartupError where there is none, or where one cannot be looked into.

    Plain files and names that begin with a dot are passed over, at both levels.
    """
    found = [folder for name in _visible(models) for folder in _visible(name)]
    if not found:
        raise StartupError(
            f"no model in the folder {str(models)!r}: name another with --models, or make one with "
            f"'rhapsode-train diagonals-gan --quick --out {models}'"
        )
    return found


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StartupError(f"the folder {str(folder)!r} cannot be read: {error.strerror}") from error
