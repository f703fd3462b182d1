"""The options of `rhapsode images` for models that draw a picture in many steps."""

from typing import Annotated

import typer

from rhapsode_client.types import GibbsOptions, ImageOptions, Model, ModelKind

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


def step_options(model: Model, steps: int | None, preview_every: int | None) -> ImageOptions:
    """The options that have a model take so many steps. Raises BadParameter where its pictures take only one."""
    if model.kind is ModelKind.BOLTZMANN:
        return {"gibbs": GibbsOptions(steps, preview_every)}
    raise typer.BadParameter(f"{model.name} draws in a single step", param_hint="--steps")
