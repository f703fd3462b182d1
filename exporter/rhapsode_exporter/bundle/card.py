"""The model card: a bundle's manifest in words, for people."""

from collections.abc import Iterable, Iterator, Mapping

from rhapsode.v1.bundle_pb2 import Attribute, Bundle, Metric, StopReason

FILE = "card.md"


def render_card(bundle: Bundle) -> str:
    """The card as Markdown: description, figures, data, settings, graphs."""
    sections = (
        _head(bundle),
        _table("Figures", ("figure", "value", "to compare with", "what was measured"), map(_figure, bundle.metrics)),
        _table(
            "Attributes", ("name", "strength", "what adding it does", "figures"), map(_attribute, bundle.attributes)
        ),
        _data(bundle),
        _table("Settings", ("setting", "value"), _sorted(bundle.training.settings)),
        _table("Software", ("name", "version"), _sorted(bundle.training.software)),
    )
    return "\n".join(line for section in sections for line in section) + "\n"


def _head(bundle: Bundle) -> Iterator[str]:
    yield f"# {bundle.name}, version {bundle.version}"
    yield ""
    yield bundle.description
    yield ""
    yield f"Licence of the weights: {bundle.licence}."
    yield "Graphs: " + ", ".join(f"`{graph.file}`" for graph in bundle.graphs) + "."


def _data(bundle: Bundle) -> Iterator[str]:
    if not bundle.training.HasField("data"):  # trained elsewhere
        return
    training, data = bundle.training, bundle.training.data
    reason = StopReason.Name(training.stop_reason).removeprefix("STOP_REASON_").lower()
    yield ""
    yield "## Data and training"
    yield ""
    yield f"- Data: {data.name}; licence: {data.licence}."
    if data.sha256:
        yield f"- SHA-256 of the data: `{data.sha256}`."
    yield f"- Held out: {data.held_out}."
    yield f"- Seed {training.seed}, {training.steps:,} steps in {training.duration_seconds / 60:.1f} minutes."
    yield f"- Stopped by the rule '{reason}': {training.stop_detail}."


def _figure(metric: Metric) -> tuple[str, ...]:
    better = "higher" if metric.higher_is_better else "lower"
    baseline = f"{metric.baseline:.4g} ({metric.baseline_name})" if metric.HasField("baseline") else "–"
    return metric.name, f"{metric.value:.4g} ({better} is better)", baseline, metric.description


def _attribute(attribute: Attribute) -> tuple[str, ...]:
    figures = ", ".join(f"{metric.name} {metric.value:.4g}" for metric in attribute.metrics)
    return f"`{attribute.name}`", f"{attribute.strength:g}", attribute.description, figures


def _sorted(values: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    yield from sorted(values.items())


def _table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    lines = [_row(row) for row in rows]
    if lines:
        yield from ("", f"## {title}", "", _row(columns), _row("---" for _ in columns), *lines)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
