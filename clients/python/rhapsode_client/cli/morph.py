"""`rhapsode morph`: an animation of a walk through latent space."""

from pathlib import Path
from typing import Annotated

import typer

from rhapsode_client.cli.animation import SUFFIXES, save_animation
from rhapsode_client.cli.connection import DEFAULT_CONNECTION, Connection
from rhapsode_client.cli.options import AsJson, ClassName, ModelName, Scale, Timeout, image_class
from rhapsode_client.cli.session import session
from rhapsode_client.cli.sheet import scaled
from rhapsode_client.cli.terminal import note, progress, write_json
from rhapsode_client.types import InterpolationMethod, Point, WalkOptions

From = Annotated[str, typer.Option("--from", metavar="POINT", help="Where to begin: a seed, or a picture file.")]
To = Annotated[str, typer.Option("--to", metavar="POINT", help="Where to end: a seed, or a picture file.")]
Keys = Annotated[
    list[str] | None, typer.Option("--key", metavar="POINT", help="A point between, in order; may be repeated.")
]
Frames = Annotated[int, typer.Option(min=1, help="Frames from each point to the next.")]
Method = Annotated[InterpolationMethod, typer.Option(help="In a straight line, or along an arc.")]
Loop = Annotated[bool, typer.Option("--loop", help="Go on from the last point to the first.")]
Speed = Annotated[float, typer.Option("--fps", min=0.1, max=50.0, help="Frames a second.")]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The animation: .gif, or .png or .apng (animated PNG).", show_default="MODEL.gif"
    ),
]


def morph(
    model: ModelName,
    start: From,
    end: To,
    out: Out = None,
    keys: Keys = None,
    frames: Frames = 16,
    method: Method = InterpolationMethod.LERP,
    loop: Loop = False,
    fps: Speed = 12.0,
    class_name: ClassName = None,
    scale: Scale = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Walk through latent space from point to point, and write the pictures as an animation.

    For example:

    - `rhapsode morph faces-vae --from 1 --to 2 --out out/faces.gif`
    - `rhapsode morph faces-vae --from 1 --key 7 --key 9 --to 2 --loop --method slerp --out faces.png`
    - `rhapsode morph digits-diffusion --from 1 --to 2 --class 7 --out sevens.gif`
    - `rhapsode morph faces-vae --from me.png --to you.png --frames 48 --scale 16 --out us.gif`
    """
    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"an animation's name ends with one of {', '.join(SUFFIXES)}")
    keyframes = [keyframe(point) for point in (start, *(keys or ()), end)]
    options: WalkOptions = {"method": method, "frames_per_segment": frames, "loop": loop}
    chosen = image_class(class_name)
    if chosen is not None:
        options["image_class"] = chosen
    with session(connection) as client, client.interpolate(model, keyframes, timeout=timeout, **options) as walk:
        started = walk.started
        pictures = [scaled(picture.image(), scale) for picture in progress(walk, started.count, model)]
        path = out or Path(f"{started.model}.gif")
        save_animation(pictures, path, fps)
        if as_json:
            write_json({"file": str(path), "frames": len(pictures), "model": started.model, "version": started.version})
        else:
            note(f"{path}: {len(pictures)} frames, {started.model}@{started.version}")


def keyframe(written: str) -> Point:
    """The point that a person wrote: a seed where it is a number, otherwise a picture file."""
    return int(written) if written.isdecimal() else Path(written)
