"""The figures of several bundles side by side, as tables in Markdown."""

from collections.abc import Iterable, Sequence

from rhapsode.v1.bundle_pb2 import Metric
from rhapsode_exporter.evaluation.critic import COMMONEST
from rhapsode_exporter.evaluation.metric import PREFIX
from rhapsode_exporter.gallery.exhibits import Exhibit

DASH = "–"
DISTANCE = "frechet_distance"
# The figure, and its column.
COMPARED = (
    (DISTANCE, "Fréchet distance ↓"),
    (f"{DISTANCE}_spread", "its deviation"),
    ("precision_share", "precision ↑"),
    ("recall_share", "recall ↑"),
    ("covered_classes", "classes ↑"),
    ("commonest_class_share", "commonest class ↓"),
    ("fresh_critic_accuracy_share", "told apart (0.5 is best)"),
    ("novelty_ratio", "novelty (1 is real)"),
    ("copies_share", "copies (0.01 is real)"),
)
# How names of figures end that say how well classes are told, and how those that say how well fakes are told.
ACCURACY, OF_FAKES = "accuracy_share", "critic_accuracy_share"
JUDGE = "judge_accuracy_share"  # of the classifier that judged a generator in its training
GUESSING = "guessing"


def compared(digits: Sequence[Exhibit]) -> list[str]:
    """The models by their distance, the nearest to real pictures first, below the real pictures and naive Bayes."""
    measured = [each for each in digits if PREFIX + DISTANCE in each.metrics]
    rows = [_row_of_real(measured[0]), _row_of_bayes(measured[0])] if measured else []
    rows += [_row_of(each) for each in by_distance(digits)]
    return table(("", *(title for _, title in COMPARED)), rows)


def by_distance(digits: Iterable[Exhibit]) -> list[Exhibit]:
    """The nearest to real pictures first; those that were not measured last."""
    return sorted(digits, key=lambda each: _value(each, DISTANCE, float("inf")))


def accuracies(exhibits: Iterable[Exhibit]) -> list[str]:
    """Who names the most held-out pictures rightly; baselines have rows of their own."""
    rows = sorted({row for each in exhibits for row in _accuracies(each)}, key=lambda row: -row[0])
    columns = ("bundle", "named rightly", "what was measured, or the baseline", "data")
    return table(columns, [(name, f"{share:.1%}", words, data) for share, name, words, data in rows])


def anomalies(exhibits: Iterable[Exhibit]) -> list[str]:
    """How well each bundle's score notices what is no picture of its kind."""
    rows = [
        (each.name, f"{metric.value:.4f}", f"{metric.baseline:.4f} ({metric.baseline_name})", metric.description)
        for each in exhibits
        for name, metric in each.metrics.items()
        if name.endswith("_anomaly_auroc")
    ]
    return table(("model", "AUROC", "to compare with", "what was measured"), rows)


def figures(exhibit: Exhibit) -> list[str]:
    """What was measured on the finished bundle, or where nothing was, in its training."""
    found = exhibit.metrics
    shown = [name for name in found if name.startswith(PREFIX)] or list(found)
    rows = [(name.removeprefix(PREFIX), f"{found[name].value:.4g}", _baseline(found[name])) for name in shown]
    return table(("figure", "value", "to compare with"), rows)


def table(columns: Iterable[str], rows: Sequence[Iterable[str]]) -> list[str]:
    """Markdown; nothing where there are no rows."""
    titles = list(columns)
    return [_line(titles), _line(["---"] * len(titles)), *map(_line, rows), ""] if rows else []


def _row_of(exhibit: Exhibit) -> list[str]:
    cells = [exhibit.metrics.get(PREFIX + name) for name, _ in COMPARED]
    return [exhibit.name, *(f"{cell.value:.3g}" if cell is not None else DASH for cell in cells)]


def _row_of_real(exhibit: Exhibit) -> list[str]:
    """What was measured of real pictures: most figures have it for a baseline."""
    found = exhibit.metrics
    floor = found.get(f"{PREFIX}{DISTANCE}_of_real")
    cells = [f"{floor.value:.3g}" if floor is not None else DASH, DASH]
    for name, _ in COMPARED[2:]:
        metric = found.get(PREFIX + name)
        cells.append(f"{metric.baseline:.3g}" if metric is not None and metric.HasField("baseline") else DASH)
    return ["*real pictures*", *cells]


def _row_of_bayes(exhibit: Exhibit) -> list[str]:
    distance = exhibit.metrics[PREFIX + DISTANCE]
    return ["*naive Bayes*", f"{distance.baseline:.3g}", *[DASH] * (len(COMPARED) - 1)]


def _accuracies(exhibit: Exhibit) -> list[tuple[float, str, str, str]]:
    """(share, bundle, what it is, data) of all that tells classes; what evaluate found only where nothing else is."""
    data = exhibit.manifest.training.data.name.partition(",")[0]
    told = {name: each for name, each in exhibit.metrics.items() if _tells_classes(name)}
    if len(told) > 1:
        told.pop(f"{PREFIX}{ACCURACY}", None)
    rows = [(each.value, exhibit.name, each.description, data) for each in told.values()]
    shares = {share for share, *_ in rows}
    baselines = [each for each in told.values() if each.baseline_name not in ("", GUESSING, COMMONEST)]
    rows += [
        (each.baseline, exhibit.name, each.baseline_name, data) for each in baselines if each.baseline not in shares
    ]
    judge = exhibit.metrics.get(JUDGE)
    return rows if judge is None else [*rows, (judge.value, "of the judges", judge.description, data)]


def _tells_classes(name: str) -> bool:
    return name.endswith(ACCURACY) and not name.endswith(OF_FAKES) and name != JUDGE


def _baseline(metric: Metric) -> str:
    return f"{metric.baseline:.4g} ({metric.baseline_name})" if metric.HasField("baseline") else ""


def _value(exhibit: Exhibit, name: str, otherwise: float) -> float:
    metric = exhibit.metrics.get(PREFIX + name)
    return otherwise if metric is None else metric.value


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
