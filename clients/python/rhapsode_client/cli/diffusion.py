"""The options of `rhapsode images` for diffusion models."""

from typing import Annotated, TypeAlias

import typer

from rhapsode_client.types import DiffusionOptions, DiffusionSampler

PANEL = "Diffusion"
MODELS = "the model's"

Sampler: TypeAlias = Annotated[
    DiffusionSampler | None,
    typer.Option(help="Without fresh noise on the way, or with.", show_default="ddim", rich_help_panel=PANEL),
]
Eta: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0.0, max=1.0, help="Share of fresh noise in every step of DDIM.", show_default="0", rich_help_panel=PANEL
    ),
]
Guidance: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=20.0,
        help="How strongly the class is followed; 1 as it was learnt.",
        show_default=MODELS,
        rich_help_panel=PANEL,
    ),
]


def diffusion_options(
    steps: int | None,
    sampler: DiffusionSampler | None,
    eta: float | None,
    guidance: float | None,
    preview_every: int | None,
) -> DiffusionOptions | None:
    """What was asked for; None where nothing was."""
    options = DiffusionOptions(steps, sampler, eta, guidance, preview_every)
    return None if options == DiffusionOptions() else options
