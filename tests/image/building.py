"""Builds the container image with buildah, on a base that mmdebstrap makes: no engine, no registry of images."""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from house.project import ROOT
from image import machine

WORK = ROOT / ".image"
"""What is kept between runs: the base, and the log of the last build."""

BASE_PACKAGES = "python3-venv"
BASE_LACKS = ("/usr/share/man/*", "/usr/share/locale/*")  # as in the slim images of Python


@dataclass(frozen=True, slots=True)
class Settings:
    """What the image tells a container engine."""

    user: str
    entrypoint: list[str]
    environ: dict[str, str]
    ports: frozenset[str]
    labels: dict[str, str]
    stop_signal: str


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its files, its settings, the seconds that it took."""

    root: Path
    settings: Settings
    seconds: float


@contextmanager
def built(target: str) -> Iterator[Image]:
    """Build a target of the Dockerfile; its storage, where every layer is a whole copy, goes at the end."""
    base = _base()
    with tempfile.TemporaryDirectory(prefix="store-", dir=WORK) as folder:
        store = _Store(Path(folder))
        store.add("rhapsode-base", base)
        before = time.monotonic()
        with tempfile.TemporaryDirectory() as secrets:
            store.build(target, "rhapsode-base", machine.pip_secrets(Path(secrets)))
        seconds = time.monotonic() - before
        yield Image(store.files(target), store.settings(target), seconds)


def _base() -> Path:
    """A small Debian with Python, as an archive: made once, half a minute."""
    archive = WORK / f"base-{machine.codename()}.tar"
    if not archive.exists():
        WORK.mkdir(exist_ok=True)
        fresh = archive.with_suffix(".fresh.tar")
        words = ["--quiet", "--variant=minbase", f"--include={BASE_PACKAGES}"]
        words += [f"--dpkgopt=path-exclude={pattern}" for pattern in BASE_LACKS]
        subprocess.run(["mmdebstrap", *words, machine.codename(), str(fresh), *machine.apt_sources()], check=True)
        fresh.rename(archive)
    return archive


@dataclass(frozen=True, slots=True)
class _Store:
    """A storage of buildah's own, in a folder."""

    folder: Path

    def add(self, name: str, archive: Path) -> None:
        """Make an image of an archive of files."""
        container = self._buildah("from", "scratch")
        self._buildah("add", "--quiet", container, str(archive), "/")
        self._buildah("commit", "--quiet", "--rm", container, f"localhost/{name}")

    def build(self, target: str, base: str, options: list[str]) -> None:
        """Build a target on a base; the log is kept, and its end said where the build fails."""
        words = ["bud", "--isolation", "chroot", "--network", "host", "--format", "docker", "--pull-never"]
        words += ["--build-arg", f"BASE=localhost/{base}", "--build-arg", "REVISION=tested"]
        words += [*options, "--target", target, "--tag", f"localhost/{target}", str(ROOT)]
        log = WORK / "build.log"
        with log.open("w", encoding="utf-8") as output:
            done = subprocess.run(self._words(*words), stdout=output, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise RuntimeError(f"the build failed, {log}: {log.read_text('utf-8')[-3000:]}")

    def files(self, name: str) -> Path:
        """The folder of an image's files, as a container would see them."""
        return Path(self._buildah("mount", self._buildah("from", "--pull-never", f"localhost/{name}")))

    def settings(self, name: str) -> Settings:
        """The configuration of an image."""
        config = json.loads(self._buildah("inspect", "--type", "image", f"localhost/{name}"))["Docker"]["config"]
        return Settings(
            user=config["User"],
            entrypoint=config["Entrypoint"],
            environ=dict(line.split("=", 1) for line in config["Env"]),
            ports=frozenset(config["ExposedPorts"]),
            labels=config["Labels"],
            stop_signal=config["StopSignal"],
        )

    def _buildah(self, *words: str) -> str:
        done = subprocess.run(self._words(*words), stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()

    def _words(self, *words: str) -> list[str]:
        places = ["--root", str(self.folder / "root"), "--runroot", str(self.folder / "run")]
        return ["buildah", "--storage-driver", "vfs", *places, *words]
