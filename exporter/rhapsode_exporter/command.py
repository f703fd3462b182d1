"""Where rhapsode-train begins: a library that is not installed, as in an install of the client alone, is named."""

import sys


def main() -> None:
    """Run the command; a library that is not installed is one line on standard error and exit status 1."""
    try:
        from rhapsode_exporter.main import main as run  # only here: its imports are what may fail

        run()
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if not library or library.startswith("rhapsode"):
            raise
        sys.exit(f"rhapsode-train: {library} is not installed: pip install 'rhapsode[exporter]'")
