"""What a model of texts has learned beyond its letters, in figures."""

from collections.abc import Callable, Sequence

from rhapsode.v1.bundle_pb2 import Metric
from rhapsode_exporter.data.corpus import START, Corpus
from rhapsode_exporter.judge import copies, marks, words

GRAM = 20
# A kind of mark is judged where the training text itself closes at least this share of it.
USED_AS_MARKS = 0.9

Measure = Callable[[Sequence[str]], float | None]


def figures(sample: Sequence[str], beside: Sequence[str], corpus: Corpus, beside_name: str) -> tuple[Metric, ...]:
    """The figures of texts of a corpus's kind; those of `beside`, an n-gram's texts, become their baselines.

    `beside_name` says which n-gram. `sample` may be a few long texts or many documents; give as many characters of
    both, as the longest copy grows with them. The characters of classes and the ends of documents may be there or not.
    What cannot be told of the sample (it has no words, no marks, nothing as long as 20 characters) is left out.
    """
    known, held_out = bare(corpus.training, corpus), bare(corpus.held_out, corpus)
    measures = [_known_words(known), _closed_marks(known), _longest_copy(known), _copied_grams(known)]
    if corpus.documents:
        measures.append(_copied_documents(known))
    ours, theirs = bare(sample, corpus), bare(beside, corpus)
    found = (_metric(name, measure, (ours, theirs, held_out), about, beside_name) for name, measure, about in measures)
    return tuple(metric for metric in found if metric is not None)


def bare(texts: Sequence[str], corpus: Corpus) -> list[str]:
    """Texts without the character of their class before them, and documents without their end."""
    heads = "".join(corpus.classes.values())
    inner = [text.lstrip(heads) if heads else text for text in texts]
    return [text.removesuffix(START) for text in inner] if corpus.documents else inner


Entry = tuple[str, Measure, str]
"""A figure's name, how it is measured, and what it is in words."""


def _metric(
    name: str, measure: Measure, texts: tuple[Sequence[str], Sequence[str], Sequence[str]], about: str, beside: str
) -> Metric | None:
    ours, theirs, real = (measure(part) for part in texts)
    if ours is None:
        return None
    held_out = "" if real is None else f"; of the held-out text {real:.4g}"
    metric = Metric(
        name=name,
        value=ours,
        higher_is_better=name in ("known_words_share", "closed_marks_share"),
        description=f"{about} ({_amount(texts[0])} generated{held_out})",
    )
    if theirs is not None:
        metric.baseline, metric.baseline_name = theirs, f"texts of {beside}"
    return metric


def _amount(texts: Sequence[str]) -> str:
    characters = sum(map(len, texts))
    return f"{characters:,} characters in {len(texts):,} {'text' if len(texts) == 1 else 'texts'}"


def _known_words(known: Sequence[str]) -> Entry:
    vocabulary = frozenset(words.words(known))
    return (
        "known_words_share",
        lambda texts: words.known_share(texts, vocabulary),
        "share of generated words, in lower case, that are words of the training text",
    )


def _closed_marks(known: Sequence[str]) -> Entry:
    used = [kind for kind, tally in marks.tallies(known).items() if tally.opened and tally.share >= USED_AS_MARKS]

    def share(texts: Sequence[str]) -> float | None:
        found = [tally for kind, tally in marks.tallies(texts).items() if kind in used]
        opened = sum(tally.opened for tally in found)
        return sum(tally.closed for tally in found) / opened if opened else None

    about = (
        f"share of opened brackets or quotation marks that are closed within {marks.REACH:,} characters; of the kinds "
        f"{' '.join(used)}, which the training text itself closes"
    )
    return "closed_marks_share", share, about


def _longest_copy(known: Sequence[str]) -> Entry:
    return (
        "longest_copied_run_characters",
        lambda texts: float(copies.longest_copy(texts, known)),
        "longest stretch of generated characters that stands word for word in the training text",
    )


def _copied_grams(known: Sequence[str]) -> Entry:
    return (
        f"copied_{GRAM}_grams_share",
        lambda texts: copies.copied_share(texts, known, GRAM),
        f"share of stretches of {GRAM} generated characters that stand word for word in the training text",
    )


def _copied_documents(known: Sequence[str]) -> Entry:
    whole = frozenset(known)
    return (
        "copied_documents_share",
        lambda texts: sum(text in whole for text in texts) / len(texts) if texts else None,
        "share of generated texts that are, as a whole, one of the training texts",
    )
