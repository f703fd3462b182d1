"""Pictures of clothes, shoes and bags: Fashion-MNIST, as the Debian package dataset-fashion-mnist carries it."""

import gzip
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rhapsode_exporter.data.archives import sha256_of
from rhapsode_exporter.data.digits import Digits
from rhapsode_exporter.errors import DataUnavailableError

PACKAGE = "dataset-fashion-mnist"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
NAMES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
TRAINING, HELD_OUT = "train", "t10k"
# The files of the set, bound to their bytes.
FILES: Mapping[str, str] = MappingProxyType(
    {
        "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
        "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
        "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
        "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    }
)
_MAGIC = {b"\0\0\x08\x01": 1, b"\0\0\x08\x03": 3}  # unsigned bytes with so many axes


def fetch(cache: Path, installed: Path, files: Mapping[str, str]) -> Path:
    """The folder that holds the set's files: `installed`, else in `cache`, downloaded from Debian's archive if need be.

    Raises DataUnavailableError where it cannot be had or its content is not the pinned one.
    """
    kept = cache / "fashion-mnist"
    for folder in (installed, kept):
        if _intact(folder, files):
            return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as beside:
        unpacked = _download(Path(beside)) / INSTALLED.relative_to("/")
        if not _intact(unpacked, files):
            raise DataUnavailableError(f"the package {PACKAGE} did not bring the files with the pinned content")
        shutil.rmtree(kept, ignore_errors=True)
        unpacked.replace(kept)
    return kept


def read(folder: Path) -> tuple[Digits, Digits]:
    """(training, held out) as the set itself is cut; ValueError where a file is no table of the known form."""
    return _part(folder, TRAINING), _part(folder, HELD_OUT)


def read_table(path: Path) -> NDArray[np.uint8]:
    """The numbers of a gzipped IDX file: pictures [N, H, W] or labels [N]; ValueError where it is something else."""
    content = gzip.decompress(path.read_bytes())
    axes = _MAGIC.get(content[:4])
    if axes is None:
        raise ValueError(f"{path.name} is no IDX file of bytes with one or three axes: it begins {content[:4]!r}")
    sizes = [int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(axes)]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(sizes).copy()


def _part(folder: Path, name: str) -> Digits:
    images = read_table(folder / f"{name}-images-idx3-ubyte.gz")
    return Digits(images, read_table(folder / f"{name}-labels-idx1-ubyte.gz").astype(np.int64))


def _intact(folder: Path, files: Mapping[str, str]) -> bool:
    return all((folder / name).is_file() and sha256_of(folder / name) == digest for name, digest in files.items())


def _download(folder: Path) -> Path:
    """Unpack Debian's package below `folder`, without installing it; the folder that stands for the root."""
    root = folder / "root"
    _run(["apt-get", "download", "--quiet", "--quiet", PACKAGE], folder)
    for package in sorted(folder.glob("*.deb")):
        _run(["dpkg-deb", "--extract", package.name, str(root)], folder)
    return root


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise DataUnavailableError(f"there is no {command[0]} here; {_REMEDY}") from error
    except subprocess.CalledProcessError as error:
        reason = "\n".join(error.stderr.strip().splitlines()[-5:])
        raise DataUnavailableError(f"{' '.join(command)} failed; {_REMEDY}\n{reason}") from error


_REMEDY = (
    f"Fashion-MNIST comes with Debian's package {PACKAGE}: install it (apt install {PACKAGE}), or put its four files "
    f"{', '.join(FILES)} into {INSTALLED}, or name pictures of your own with --data"
)
