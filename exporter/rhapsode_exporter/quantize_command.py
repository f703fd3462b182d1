"""The command `rhapsode-train quantize`, and the same after a training."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rhapsode_exporter.bundle.quantize import Precision
from rhapsode_exporter.bundle.read import read_bundle
from rhapsode_exporter.bundle.variant import variant_folder, write_variant
from rhapsode_exporter.bundle.write import refuse_existing
from rhapsode_exporter.data.archives import cache_folder
from rhapsode_exporter.data.held_out import held_out_text
from rhapsode_exporter.run.report import say, say_figures

HELP = (
    "Write the variant of a bundle whose matrix weights have 8 or 4 bits.\n\n"
    "It measures what that loses and gains: on held-out text where the data set is known here or given by --data, "
    "else against the float32 model's own outputs."
)

Folder = Annotated[Path, typer.Argument(help="The bundle, such as models/shakespeare-rnn/1.")]
To = Annotated[Precision, typer.Option("--to", help="What the weights are stored in.")]
Out = Annotated[Path, typer.Option(help="Where the variant is written, as OUT/NAME-int8/VERSION.")]
Data = Annotated[Path | None, typer.Option(exists=True, help="Your own text, where the bundle was trained on it.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a variant that is there.")]


def quantize_command(console: Console) -> Callable[..., None]:
    """The command, which prints to `console`."""

    def command(
        folder: Folder,
        to: To = Precision.INT8,
        out: Out = Path("models"),
        data: Data = None,
        overwrite: Overwrite = False,
    ) -> None:
        quantize_bundle(folder, to, out, data, console, overwrite=overwrite)

    return command


def quantize_bundle(
    folder: Path, precision: Precision, out: Path, data: Path | None, console: Console, *, overwrite: bool
) -> None:
    """Write the variant of the bundle in `folder`, and say what it loses and gains.

    Raises BundleUnreadableError, BundleExistsError, QuantizationRefusedError or DataUnavailableError.
    """
    stored = read_bundle(folder)
    manifest = stored.manifest
    refuse_existing(variant_folder(out, manifest.name, manifest.version, precision), overwrite)
    held_out = held_out_text(manifest, cache_folder(os.environ), data)
    say(console, f"quantising {manifest.name} to {precision}, and measuring it beside the float32 model")
    variant = write_variant(stored, precision, out, held_out, overwrite=overwrite)
    say_figures(console, variant.manifest.metrics)
    if not variant.batch_invariant:
        say(console, "on this processor a row's last bits depend on its batch, as a server here will say too")
    say(console, f"wrote {variant.folder}")
