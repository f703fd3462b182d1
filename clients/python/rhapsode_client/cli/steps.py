"""The options of `rhapsode images` for models that draw a picture in many steps."""

from typing import Annotated

import typer

from rhapsode_client.types import DiffusionOptions, GibbsOptions, ImageOptions, Model, ModelKind

Steps = Annotated[
    int | None,
    typer.Option(min=1, help="Steps of a model that draws in many of them.", show_default="as many as the model says"),
]
PreviewEvery = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="STEPS",
        help="Write each picture to --out-dir after every so many steps too.",
        show_default="none",
    ),
]


def way_options(model: Model, way: DiffusionOptions) -> ImageOptions:
    """The options that have a model go this way. Raises BadParameter where it draws otherwise, or in a single step."""
    if model.kind is ModelKind.DIFFUSION:
        return {"diffusion": way}
    if model.kind is not ModelKind.BOLTZMANN:
        raise typer.BadParameter(f"{model.name} draws in a single step, so it takes no option of a way of many steps")
    options = GibbsOptions(way.steps, way.preview_every)
    if way != DiffusionOptions(way.steps, preview_every=way.preview_every):
        raise typer.BadParameter(f"{model.name} is no diffusion model", param_hint="--sampler, --eta or --guidance")
    return {"gibbs": options}
