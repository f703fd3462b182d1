"""`rhapsode edit`: pictures before and after attributes are added or taken away."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rhapsode_client.cli.connection import DEFAULT_CONNECTION, Connection
from rhapsode_client.cli.images import SHEETS
from rhapsode_client.cli.morph import keyframe
from rhapsode_client.cli.options import AsJson, ClassName, ModelName, Scale, Timeout, image_class
from rhapsode_client.cli.session import session, title
from rhapsode_client.cli.sheet import Labelled, contact_sheet
from rhapsode_client.cli.terminal import note, write_json
from rhapsode_client.types import Edit, Edited, EditOptions, Keyframe, Model, Picture

Sources = Annotated[list[str], typer.Argument(metavar="SOURCE...", help="What to edit: seeds, or picture files.")]
Add = Annotated[list[str] | None, typer.Option("--add", metavar="NAME", help="Add an attribute; may be repeated.")]
Remove = Annotated[
    list[str] | None, typer.Option("--remove", metavar="NAME", help="Take an attribute away; may be repeated.")
]
Strength = Annotated[
    float | None,
    typer.Option(min=0.0, max=100.0, help="How many times directions are added.", show_default="each one's own"),
]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="The sheet.", show_default="MODEL-edit.png")]


def edit(
    model: ModelName,
    sources: Sources,
    add: Add = None,
    remove: Remove = None,
    strength: Strength = None,
    out: Out = None,
    class_name: ClassName = None,
    scale: Scale = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Add attributes to pictures or take them away, and show each picture before and after on one sheet.

    For example:

    - `rhapsode edit faces-vae 1 --add glasses --out glasses.png`
    - `rhapsode edit faces-vae 1 2 me.png --add beard --remove hat --strength 1.5`
    """
    if out is not None and out.suffix.lower() not in SHEETS:
        raise typer.BadParameter(f"a sheet's name ends with one of {', '.join(SHEETS)}")
    points = [keyframe(written) for written in sources]
    options: EditOptions = {}
    if (chosen := image_class(class_name)) is not None:
        options["image_class"] = chosen
    with session(connection) as client:
        served = client.model(model, timeout=timeout)
        edits = chosen_edits(served, add or (), remove or (), strength)
        both: list[Keyframe] = [each for point in points for each in (point, Edited(point, edits))]
        pictures = list(client.edit_images(title(served), both, timeout=timeout, **options))
        path = out or Path(f"{served.name}-edit.png")
        after = " ".join([*(f"+{name}" for name in add or ()), *(f"-{name}" for name in remove or ())])
        labels = [label for source in sources for label in (_label(source), after)]
        _save(pictures, labels, title(served), path, scale)
        if as_json:
            write_json({"file": str(path), "pictures": len(points), "model": served.name, "version": served.version})
        else:
            note(f"{path}: {len(points)} pictures before and after, {title(served)}")


def chosen_edits(model: Model, add: Sequence[str], remove: Sequence[str], strength: float | None) -> list[Edit]:
    """The moves that a person asked for. Raises a usage error where there is none, or no such attribute."""
    if not add and not remove:
        raise typer.BadParameter("say what to change with --add NAME or --remove NAME")
    own = {attribute.name: attribute.strength for attribute in model.attributes}
    for name in (*add, *remove):
        if name not in own:
            raise typer.BadParameter(f"{title(model)} has no attribute {name!r}; it has {', '.join(own) or 'none'}")
    edits = [Edit(name, own[name] if strength is None else strength) for name in add]
    return edits + [Edit(name, -(own[name] if strength is None else strength)) for name in remove]


def _save(pictures: Sequence[Picture], labels: Sequence[str], heading: str, path: Path, scale: int | None) -> None:
    entries = [Labelled(picture.image(), label) for picture, label in zip(pictures, labels, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(entries, heading, 2, scale).save(path)


def _label(source: str) -> str:
    return f"seed {source}" if source.isdecimal() else Path(source).name
