"""One file per quality figure."""
