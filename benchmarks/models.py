"""Writes the bundles that are measured: shipped ones as they are, and a foreign one of random weights."""

import argparse
import shutil
from pathlib import Path

from benchmarks.bundles import Folders, newest
from benchmarks.cases import DIFFUSION, DIGITS, FOREIGN, GRU, NGRAM
from benchmarks.foreign import Size, write_foreign


def prepare(folders: Folders) -> None:
    """Write what is not there yet; the shipped bundles are copied anew."""
    for name in (GRU, NGRAM, DIGITS, DIFFUSION):
        _copy(folders.shipped, name, folders.measured)
    write_foreign(folders.foreign, FOREIGN, Size())


def _copy(shipped: Path, name: str, models: Path) -> None:
    source = newest(shipped, name)
    shutil.rmtree(models / name, ignore_errors=True)
    shutil.copytree(source, models / name / source.name)


def main() -> None:
    """Write the bundles."""
    parser = argparse.ArgumentParser(description="Writes the bundles that are measured.")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles (default: models)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for bench-models/ (default: out)")
    options = parser.parse_args()
    prepare(Folders(options.models, options.out / "bench-models"))


if __name__ == "__main__":
    main()
