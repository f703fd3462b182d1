"""The options of a way of many steps, for the kind of model that takes them."""

import typer

from rhapsode_client.types import DiffusionOptions, GibbsOptions, ImageOptions, Model, ModelKind


def way_options(model: Model, way: DiffusionOptions) -> ImageOptions:
    """The options that have a model go this way. Raises BadParameter where it draws otherwise, or in a single step."""
    if model.kind is ModelKind.DIFFUSION:
        return {"diffusion": way}
    if model.kind is not ModelKind.BOLTZMANN:
        raise typer.BadParameter(f"{model.name} draws in a single step", param_hint="--steps")
    options = GibbsOptions(way.steps, way.preview_every)
    if way != DiffusionOptions(way.steps, preview_every=way.preview_every):
        raise typer.BadParameter(f"{model.name} is no diffusion model", param_hint="--sampler, --eta or --guidance")
    return {"gibbs": options}
