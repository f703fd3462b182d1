"""The families of recurrent text: what each one reads, and how large it is."""

from dataclasses import replace

from rhapsode_exporter.data.headlines import load_headlines
from rhapsode_exporter.data.molecules import load_molecules
from rhapsode_exporter.data.names import load_names
from rhapsode_exporter.data.python_code import load_python_code
from rhapsode_exporter.data.shakespeare import load_works
from rhapsode_exporter.data.tunes import load_tunes
from rhapsode_exporter.families.recurrent_text import RecurrentText, Size, TextFamily
from rhapsode_exporter.families.text_figures import Sample
from rhapsode_exporter.families.text_judges import judge_headlines, judge_molecules, judge_tunes
from rhapsode_exporter.loops.sequence import SequenceSettings

_WORKS = SequenceSettings()
_QUICK_WORKS = SequenceSettings(streams=16, segment=64, learning_rate=8e-3, warm_up=30, evaluate_every=200, dropout=0.0)
_QUICK_DOCUMENTS = replace(_QUICK_WORKS, streams=32, segment=160)
_PAGES = Sample(texts=16, length=1_500)
_PAGE = Sample(texts=2, length=1_500)

SHAKESPEARE = TextFamily(
    name="shakespeare-rnn",
    about="the complete works of Shakespeare",
    load=load_works,
    full=Size(512, 2, 5_600, _WORKS, _PAGES),
    quick=Size(128, 2, 600, _QUICK_WORKS, _PAGE, embedding=32),
)
LSTM = replace(SHAKESPEARE, name="shakespeare-lstm", cell="lstm")
MINGRU = replace(
    SHAKESPEARE,
    name="shakespeare-mingru",
    cell="mingru",
    full=Size(384, 4, 2_000, _WORKS, _PAGES),
    quick=Size(128, 2, 300, _QUICK_WORKS, _PAGE, embedding=32),
)
FIDDLE = TextFamily(
    name="fiddle-rnn",
    about="4,000 fiddle tunes in ABC notation",
    load=load_tunes,
    full=Size(
        224, 2, 2_400, SequenceSettings(streams=32, segment=640, weight_decay=0.05), Sample(500, 700), embedding=32
    ),
    quick=Size(96, 1, 300, replace(_QUICK_DOCUMENTS, segment=640), Sample(30, 700), embedding=32),
    documents=True,
    judges=(judge_tunes,),
)
HEADLINES = TextFamily(
    name="headlines-rnn",
    about="headlines of health news, of two kinds of outlet",
    load=load_headlines,
    full=Size(
        320, 1, 12_500, SequenceSettings(streams=128, segment=128, dropout=0.1), Sample(1_000, 128, 0.5), embedding=32
    ),
    quick=Size(96, 1, 400, _QUICK_DOCUMENTS, Sample(100, 128), embedding=32),
    documents=True,
    judges=(judge_headlines,),
)
MOLECULES = TextFamily(
    name="molecules-rnn",
    about="molecules as SMILES",
    load=load_molecules,
    full=Size(256, 1, 5_000, SequenceSettings(streams=256, segment=64, dropout=0.1), Sample(2_000, 64), embedding=32),
    quick=Size(96, 1, 500, _QUICK_DOCUMENTS, Sample(200, 64), embedding=32),
    documents=True,
    judges=(judge_molecules,),
)
CODE = TextFamily(
    name="code-rnn",
    about="the modules of Python's standard library",
    load=load_python_code,
    full=Size(256, 1, 3_500, SequenceSettings(dropout=0.1), _PAGES, embedding=32),
    quick=Size(96, 1, 600, _QUICK_WORKS, _PAGE, embedding=32),
)
NAMES = TextFamily(
    name="names-rnn",
    about="first and last names of the US census",
    load=load_names,
    full=Size(128, 1, 6_000, SequenceSettings(streams=256, segment=32, dropout=0.0), Sample(2_000, 32), embedding=16),
    quick=Size(64, 1, 400, replace(_QUICK_DOCUMENTS, segment=32), Sample(200, 32), embedding=16),
    documents=True,
)


def text_families() -> tuple[RecurrentText, ...]:
    """All of them, in the order in which they are listed."""
    every = (SHAKESPEARE, LSTM, MINGRU, FIDDLE, HEADLINES, MOLECULES, CODE, NAMES)
    return tuple(RecurrentText(family) for family in every)
