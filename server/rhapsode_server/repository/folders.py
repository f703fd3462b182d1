"""Where bundles lie: models/<name>/<version>/."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rhapsode_server.errors import StartupError

_VERSION = re.compile(r"[1-9][0-9]{0,8}")


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


def versions(models: Path, name: str) -> Mapping[int, Path]:
    """The folder of each version of a model; none where there is no such model.

    The name is looked for among the folders that are there: it may be any text. Raises StartupError as bundle_folders.
    """
    return {
        int(folder.name): folder
        for each in _visible(models)
        if each.name == name
        for folder in _visible(each)
        if _VERSION.fullmatch(folder.name)
    }


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StartupError(f"the folder {str(folder)!r} cannot be read: {error.strerror}") from error
