"""The corpus that the documents of a public data set make."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from rhapsode_exporter.data.archives import Archive
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.data.split import HELD_OUT_DOCUMENTS, split_documents

NO_CLASSES: Mapping[str, str] = MappingProxyType({})


def document_corpus(
    documents: Iterable[str],
    archive: Archive,
    *,
    title: str,
    name: str,
    licence: str,
    classes: Mapping[str, str] = NO_CLASSES,
) -> Corpus:
    """Documents out of an archive, split by their hashes; see Corpus for what the words and classes mean."""
    split = split_documents(documents)
    return Corpus(
        title=title,
        name=name,
        licence=licence,
        public=True,
        sha256=archive.sha256,
        held_out_words=HELD_OUT_DOCUMENTS,
        alphabet=split.alphabet,
        training=split.training,
        validation=split.validation,
        held_out=split.held_out,
        documents=True,
        classes=classes,
    )
