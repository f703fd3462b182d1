"""The gallery as a page in Markdown."""

from collections.abc import Iterable, Iterator, Sequence

from rhapsode_exporter.gallery.exhibits import Exhibit
from rhapsode_exporter.gallery.tables import accuracies, anomalies, by_distance, compared, figures, table

ACROSS = 3
OPENING = """# Gallery

What the models in `models/` draw and write, and how near it comes to what is real. `rhapsode-train gallery` makes this
page from the bundles; the figures are those of the training, and of pictures those that `rhapsode-train evaluate NAME
--write` put into them."""
DIGITS = """## Digits side by side

Every sheet is drawn from the same sampling seed and is not picked; where a model takes a class, each column has one."""
COMPARISON = """### Figures

On sets of equal size and digits that no training saw, with the same classifier for an observer; means over sampling
seeds, as the cards say. Precision is the share of a model's pictures that look real, recall the share of real pictures
that the model could have drawn; "told apart" is what a critic reaches that never met the generator. The nearest to
real pictures stands first."""
TEXTS = """## Texts

The beginning of each bundle's preview, which was drawn with one seed and is not picked. What the training measured
beside counted models is compared in `docs/sequences.md`."""
ACCURACY = """## Accuracy of classifiers

On pictures that were held out; a bundle's baselines have rows of their own."""
ANOMALY = """## As anomaly scores"""


def page(exhibits: Sequence[Exhibit], real: Exhibit | None) -> str:
    """The whole page; `real` shows real digits, where there are digits to compare."""
    shown = [each for each in exhibits if each.picture]
    written = [each for each in exhibits if each.passage]
    digits, others = [each for each in shown if each.digits], [each for each in shown if not each.digits]
    lines = [
        OPENING,
        "",
        *_digits(digits, real),
        *_others(others),
        *_texts(written),
        *_section(ACCURACY, accuracies(exhibits)),
        *_section(ANOMALY, anomalies(exhibits)),
        *_missing([each for each in (real, *exhibits) if each is not None and each.reason]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _digits(digits: Sequence[Exhibit], real: Exhibit | None) -> Iterator[str]:
    if not digits:
        return
    yield from (DIGITS, "")
    sheets = [*([real] if real is not None and real.picture else []), *by_distance(digits)]
    for start in range(0, len(sheets), ACROSS):
        row = sheets[start : start + ACROSS]
        yield from table([each.name for each in row], [[_picture(each) for each in row]])
    yield from (COMPARISON, "", *compared(digits))


def _others(others: Iterable[Exhibit]) -> Iterator[str]:
    for exhibit in others:
        yield from (f"## {exhibit.name}", "", exhibit.manifest.description, "", _picture(exhibit), "")
        yield from figures(exhibit)


def _texts(written: Sequence[Exhibit]) -> Iterator[str]:
    if written:
        yield from (TEXTS, "")
    for exhibit in written:
        yield from (f"### {exhibit.name}", "", exhibit.manifest.description, "")
        yield from ("```text", exhibit.passage, "```", "", *figures(exhibit))


def _section(opening: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from (opening, "", *lines)


def _missing(missing: Sequence[Exhibit]) -> Iterator[str]:
    if missing:
        yield from ("## Not shown", "", *(f"- {each.name}: {each.reason.rstrip('.')}." for each in missing), "")


def _picture(exhibit: Exhibit) -> str:
    return f"![{exhibit.name}]({exhibit.picture})"
