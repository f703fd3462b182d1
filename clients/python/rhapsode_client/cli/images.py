"""`rhapsode images`: pictures drawn from seeds, on one labelled sheet or in a file each."""

from pathlib import Path
from typing import Annotated

import typer

from rhapsode_client.cli.connection import DEFAULT_CONNECTION, Connection
from rhapsode_client.cli.diffusion import Eta, Guidance, Sampler, diffusion_options
from rhapsode_client.cli.options import AsJson, ClassName, ModelName, Scale, Seed, Timeout, image_class
from rhapsode_client.cli.pictures import Labels, save_each, save_preview, save_sheet
from rhapsode_client.cli.seeds import seed_list
from rhapsode_client.cli.session import session
from rhapsode_client.cli.steps import PreviewEvery, Steps, way_options
from rhapsode_client.cli.terminal import progress
from rhapsode_client.types import ImageFormat, ImageOptions, KeepBest, Picture

SHEETS = (".png", ".webp", ".jpg", ".jpeg", ".gif", ".bmp", ".tiff", ".pdf")
FORMATS = [value for value in ImageFormat if value is not ImageFormat.UNKNOWN]

Count = Annotated[int | None, typer.Option(min=1, help="Pictures to make.", show_default="1, or one for each seed")]
Seeds = Annotated[
    str | None, typer.Option(metavar="LIST", help="A seed for each picture, as in 0,1,4-6.", show_default="none")
]
Columns = Annotated[int | None, typer.Option(min=1, help="Pictures in a row of the sheet.", show_default="a square")]
Format = Annotated[
    ImageFormat | None,
    typer.Option(
        "--format",
        metavar="|".join(FORMATS),
        show_default="png",
        help="How single files are written; raw pixels become NumPy files (.npy).",
    ),
]
Drawn = Annotated[
    int | None,
    typer.Option("--best-of", min=1, metavar="N", help="Draw N and keep the best.", show_default="all are kept"),
]
Critic = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="With --best-of: the model whose critic chooses.", show_default="MODEL's own"),
]
Truncation = Annotated[
    float | None,
    typer.Option(help="Multiply latents, above 0 to 1: less variety, more typical pictures.", show_default="1"),
]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="The sheet.", show_default="MODEL.png")]
OutDir = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write single files here instead of a sheet.")]


def images(
    model: ModelName,
    count: Count = None,
    seed: Seed = None,
    seeds: Seeds = None,
    class_name: ClassName = None,
    best_of: Drawn = None,
    critic: Critic = None,
    truncation: Truncation = None,
    steps: Steps = None,
    sampler: Sampler = None,
    eta: Eta = None,
    guidance: Guidance = None,
    preview_every: PreviewEvery = None,
    columns: Columns = None,
    scale: Scale = None,
    file_format: Format = None,
    out: Out = None,
    out_dir: OutDir = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Draw pictures.

    Each is labelled with what makes it again: its number under the seed in the heading, or a seed of its own.

    For example:

    - `rhapsode images digits-gan --count 64 --out out/digits.png`
    - `rhapsode images faces-vae --seeds 0,1,4-6 --columns 5 --scale 8`
    - `rhapsode images digits-gan --count 16 --best-of 256 --critic digits-critic --truncation 0.8`
    - `rhapsode images digits-rbm --class 7 --steps 500`
    - `rhapsode images digits-gan --count 1000 --seed 1 --format webp --out-dir digits`
    - `rhapsode images digits-diffusion --class 7 --steps 50 --guidance 2 --preview-every 5 --out-dir sevens`
    """
    _check_usage(seed, seeds, file_format, out, out_dir)
    _check_previews(preview_every, out_dir)
    way = diffusion_options(steps, sampler, eta, guidance, preview_every)
    options = _options(count, seed, seeds, class_name)
    _add_choice(options, best_of, critic, truncation)
    asked = _in_words(class_name, best_of, critic, truncation, steps)
    labels = Labels(model, seed_list(seeds) if seeds else None, asked)

    def keep(preview: Picture) -> None:
        if out_dir is not None:
            save_preview(preview, stream.started, labels, out_dir, as_json=as_json)

    with session(connection) as client:
        options["format"] = file_format or ImageFormat.PNG
        if way is not None:
            options |= way_options(client.model(model), way)
        with client.stream_images(model, timeout=timeout, on_preview=keep, **options) as stream:
            pictures = progress(stream, stream.started.count, model)
            if out_dir is not None:
                save_each(pictures, stream.started, labels, out_dir, as_json=as_json)
            else:
                path = out or Path(f"{stream.started.model}.png")
                save_sheet(list(pictures), stream.started, labels, path, columns, scale, as_json=as_json)


def _in_words(
    class_name: str | None, best_of: int | None, critic: str | None, truncation: float | None, steps: int | None
) -> tuple[str, ...]:
    """What makes the pictures again beside the seed, for the heading of a sheet."""
    by = f" by {critic}" if critic else ""
    words = (
        (class_name, f"class {class_name}"),
        (steps, f"{steps} steps"),
        (truncation, f"truncation {truncation}"),
        (best_of, f"best of {best_of}{by}"),
    )
    return tuple(word for value, word in words if value is not None)


def _check_usage(
    seed: int | None, seeds: str | None, file_format: ImageFormat | None, out: Path | None, out_dir: Path | None
) -> None:
    if seed is not None and seeds is not None:
        raise typer.BadParameter("--seed and --seeds exclude each other")
    if out is not None and out_dir is not None:
        raise typer.BadParameter("--out and --out-dir exclude each other")
    if file_format is not None and out_dir is None:
        raise typer.BadParameter("--format is for single files: give --out-dir; a sheet is what its suffix says")
    if file_format is ImageFormat.UNKNOWN:
        raise typer.BadParameter(f"--format is one of {', '.join(FORMATS)}")
    if out is not None and out.suffix.lower() not in SHEETS:
        raise typer.BadParameter(f"a sheet's name ends with one of {', '.join(SHEETS)}")


def _options(count: int | None, seed: int | None, seeds: str | None, class_name: str | None) -> ImageOptions:
    options: ImageOptions = {}
    if count is not None:
        options["count"] = count
    if seed is not None:
        options["seed"] = seed
    if seeds is not None:
        options["seeds"] = seed_list(seeds)
    chosen = image_class(class_name)
    if chosen is not None:
        options["image_class"] = chosen
    return options


def _add_choice(options: ImageOptions, best_of: int | None, critic: str | None, truncation: float | None) -> None:
    if critic is not None and best_of is None:
        raise typer.BadParameter("--critic chooses among many pictures: give --best-of")
    if best_of is not None:
        options["keep_best"] = KeepBest(best_of, critic or "")
    if truncation is not None:
        options["truncation"] = truncation


def _check_previews(preview_every: int | None, out_dir: Path | None) -> None:
    if preview_every is not None and out_dir is None:
        raise typer.BadParameter("--preview-every is for single files: give --out-dir")
