"""`rhapsode models`: what a server serves."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rhapsode_client.cli.connection import DEFAULT_CONNECTION, Connection
from rhapsode_client.cli.options import AsJson, Timeout
from rhapsode_client.cli.session import session, title
from rhapsode_client.cli.terminal import results, write_json
from rhapsode_client.types import ImageSpec, Metric, Model, ModelKind


def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Describe this model.")] = None,
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """List the models that are served, or describe one.

    For example:

    - `rhapsode models`
    - `rhapsode models faces-vae`
    - `rhapsode models --json | jq -r .name`
    """
    with session(connection) as client:
        found = client.models(timeout=timeout) if name is None else (client.model(name, timeout=timeout),)
        if as_json:
            for model in found:
                write_json(model)
        elif name is None:
            results().print(_listing(found))
        else:
            _describe(found[0], results())


def _listing(found: Sequence[Model]) -> Table:
    table = Table(box=None)
    table.add_column("model", no_wrap=True)
    aliased = any(model.aliases for model in found)
    for heading in (*(["aliases"] if aliased else []), "makes", "latent", "runs on", "batch-invariant", "licence"):
        table.add_column(heading, overflow="fold")
    for model in found:
        runtime = model.runtime
        latent = f"{model.latent.size} {model.latent.prior}" if model.latent else ""
        invariant = "yes" if runtime.batch_invariant else "no"
        aliases = [", ".join(model.aliases)] if aliased else []
        table.add_row(title(model), *aliases, makes(model), latent, provider(model), invariant, model.licence)
    return table


def makes(model: Model) -> str:
    """What a model makes, in two or three words."""
    if model.image is not None:
        pixels = _pixels(model.image)
        return f"judgements of {pixels}" if model.kind is ModelKind.CRITIC else pixels
    if model.sequence is None:
        return ""
    return "judgements of text" if model.kind is ModelKind.CRITIC else "text"


def _pixels(image: ImageSpec) -> str:
    return f"{image.width}×{image.height} {'grey' if image.channels == 1 else 'colour'}"


def provider(model: Model) -> str:
    """ONNX Runtime's name of the provider, less the word that all of them end with."""
    return model.runtime.provider.removesuffix("ExecutionProvider")


def _describe(model: Model, console: Console) -> None:
    console.print(title(model), style="bold")
    console.print(model.description, markup=False)
    facts = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _facts(model):
        facts.add_row(name, value)
    console.print(facts)
    if model.metrics:
        console.print(_figures(model.metrics))


def _facts(model: Model) -> Iterator[tuple[str, str]]:
    training, runtime, limits = model.training, model.runtime, model.limits
    if model.aliases:
        yield "aliases", ", ".join(model.aliases)
    yield "kind", model.kind
    yield "makes", makes(model)
    yield "can", ", ".join(model.capabilities)
    if model.latent:
        yield "latent", f"{model.latent.size} numbers, {model.latent.prior}, mean length {model.latent.mean_radius:.2f}"
    if model.sequence:
        yield "vocabulary", f"{len(model.sequence.tokens)} tokens"
        generated = f" in a prompt, {limits.generated_tokens} generated" if limits.generated_tokens else " in a text"
        yield "limits", f"{limits.prompt_tokens} tokens{generated}"
        if model.sequence.classes:
            yield "classes", ", ".join(one.name for one in model.sequence.classes)
    if model.image:
        yield "limits", f"{limits.images_per_reply} pictures a reply, {limits.images_per_stream} a stream"
    if model.classes:
        yield "classes", ", ".join(model.classes)
    if model.attributes:
        yield "attributes", ", ".join(f"{one.name} (strength {one.strength:g})" for one in model.attributes)
    if model.diffusion:
        spec = model.diffusion
        yield "diffusion", f"{spec.default_steps} of {spec.training_steps} steps, guidance {spec.default_guidance:g}"
    if model.gibbs:
        yield "chain", f"{model.gibbs.default_steps} steps"
    yield "runs on", f"{provider(model)}, ONNX Runtime {runtime.onnxruntime_version}"
    if runtime.provider_fallback_reason:
        yield "because", runtime.provider_fallback_reason
    if runtime.step_form:
        yield "steps", runtime.step_form + (f": {runtime.unfused_reason}" if runtime.unfused_reason else "")
    yield "same bytes", "in any batch" if runtime.batch_invariant else "not promised: depends on the batch"
    yield "fingerprint", runtime.fingerprint
    yield "licence", model.licence
    yield "data", f"{training.data.name} ({training.data.licence})"
    yield "trained", f"{training.steps} steps in {training.duration_seconds:.0f} s, ended by {training.stop_reason}"
    yield "digest", model.digest


def _figures(metrics: Sequence[Metric]) -> Table:
    table = Table("figure", "value", "better", "baseline", "what", box=None)
    for metric in metrics:
        baseline = "" if metric.baseline is None else f"{metric.baseline:.4g} {metric.baseline_name}"
        better = "higher" if metric.higher_is_better else "lower"
        table.add_row(metric.name, f"{metric.value:.4g}", better, baseline, metric.description)
    return table
