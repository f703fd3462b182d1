"""Texts of a corpus's kind, many at a time, drawn from what has learnt it."""

from collections.abc import Sequence

from rhapsode_exporter.data.corpus import START, Corpus
from rhapsode_exporter.judge.kneser_ney import KneserNey
from rhapsode_exporter.networks.recurrent import CharacterNetwork
from rhapsode_exporter.sampling.writers import NetworkWriter, NgramWriter
from rhapsode_exporter.sampling.writing import Wanted, Writer, write


def texts_of_network(
    network: CharacterNetwork,
    corpus: Corpus,
    prefixes: Sequence[str],
    length: int,
    *,
    temperature: float = 1.0,
    seed: int = 0,
) -> list[str]:
    """What the network writes after each of `prefixes`, without the prefix: at most `length` characters.

    A text of a corpus with classes begins with the character of its class, so that must be the first of its prefix;
    others may be empty: the network is fed what stands before every text by itself. Documents end where the network
    ends them. Takes the network's evaluation mode for the while.
    """
    was_training = network.training
    network.eval()
    start = None if corpus.classes else corpus.alphabet.index(START)
    texts = _texts(NetworkWriter(network, start), corpus, prefixes, length, temperature, seed)
    network.train(was_training)
    return texts


def texts_of_ngram(
    model: KneserNey,
    order: int,
    corpus: Corpus,
    prefixes: Sequence[str],
    length: int,
    *,
    temperature: float = 1.0,
    seed: int = 0,
) -> list[str]:
    """As `texts_of_network`, by a model of one order, at most `model.order`, counted on texts as they stand.

    After an empty prefix it begins as its texts began, which of a few long works is by heart: give START there.
    """
    return _texts(NgramWriter(model, order), corpus, prefixes, length, temperature, seed)


def _texts(
    writer: Writer, corpus: Corpus, prefixes: Sequence[str], length: int, temperature: float, seed: int
) -> list[str]:
    if corpus.classes and not all(prefix[:1] in corpus.classes.values() and prefix for prefix in prefixes):
        raise ValueError("the prefix of a text must begin with the character of its class")
    end = corpus.alphabet.index(START) if corpus.documents else None
    ids = [corpus.ids(prefix).tolist() for prefix in prefixes]
    written = write(writer, ids, Wanted(length, temperature, end), seed)
    return ["".join(corpus.alphabet[token] for token in text) for text in written]
