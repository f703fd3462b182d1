"""The option --steps: how many a model takes that draws its pictures step by step."""

from typing import Annotated

import typer

from rhapsode_client.types import GibbsOptions, ImageOptions, Model, ModelKind

Steps = Annotated[
    int | None,
    typer.Option(min=1, help="Steps of a model that draws in many of them.", show_default="as many as the model says"),
]


def step_options(model: Model, steps: int) -> ImageOptions:
    """The options that have the model take so many steps. Raises BadParameter where its pictures take only one."""
    if model.kind is ModelKind.BOLTZMANN:
        return {"gibbs": GibbsOptions(steps)}
    raise typer.BadParameter(f"{model.name} draws in a single step", param_hint="--steps")
