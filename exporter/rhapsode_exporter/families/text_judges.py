"""What is measured of the texts of single families: of tunes, molecules and headlines."""

from rhapsode.v1.bundle_pb2 import Metric
from rhapsode_exporter.families.text_figures import Written
from rhapsode_exporter.judge import abc_tunes, headlines, molecules


def judge_tunes(written: Written) -> tuple[Metric, ...]:
    """How many parse, and fill their bars, beside real tunes."""
    return abc_tunes.figures(written.texts, written.corpus.held_out)


def judge_molecules(written: Written) -> tuple[Metric, ...]:
    """How many are molecules, different ones and new ones, beside a counted model's."""
    known = molecules.known_molecules([text.strip() for text in written.corpus.known], written.note)
    return molecules.figures(written.texts, written.beside, known, written.beside_name)


def judge_headlines(written: Written) -> tuple[Metric, ...]:
    """How many are of their class to a judge of another kind than the critic, by which nothing was chosen."""
    corpus = written.corpus
    texts = {
        name: [text for prefix, text in zip(written.prefixes, written.texts, strict=True) if prefix == mark]
        for name, mark in corpus.classes.items()
    }
    return headlines.figures(texts, corpus)
