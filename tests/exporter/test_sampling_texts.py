"""Texts are drawn from what their model says, begin where they are told and end where they end."""

from collections import Counter

import numpy as np
import pytest
import torch

from exporter.test_prose import corpus_of
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.judge.kneser_ney import KneserNey, count
from rhapsode_exporter.networks.recurrent import CharacterNetwork, RecurrentShape
from rhapsode_exporter.sampling.texts import texts_of_network, texts_of_ngram

CLASSES = {"low": "\x0e", "high": "\x0f"}


def counted(corpus: Corpus, order: int) -> KneserNey:
    return count([corpus.ids(text) for text in corpus.training], len(corpus.alphabet), order)


@pytest.fixture(scope="module")
def network() -> CharacterNetwork:
    torch.manual_seed(3)
    return CharacterNetwork(RecurrentShape(4, embedding=8, width=16, layers=2, cell="gru"), dropout=0.5)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_what_follows_has_the_probabilities_that_texts_are_judged_by(order: int) -> None:
    random = np.random.default_rng(5)
    model = count([random.integers(0, 3, 200), random.integers(1, 4, 50)], 5, order=5)
    text = random.integers(0, 5, 40)
    padded = np.concatenate([np.full(4, 5), text])
    histories = np.stack([padded[end : end + 4] for end in range(len(text))])
    found = model.following(histories, order)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    judged = model.probabilities(text)[order - 1]
    np.testing.assert_allclose(found[np.arange(len(text)), text], judged, rtol=1e-12)


def test_an_n_gram_writes_documents_of_its_classes() -> None:
    corpus = corpus_of("\x0eaab\n", "\x0fbba\n", documents=True, classes=CLASSES)
    prefixes = ["\x0e", "\x0f"] * 500
    texts = texts_of_ngram(counted(corpus, 6), 6, corpus, prefixes, 10, temperature=0.3, seed=1)
    low, high = Counter(texts[::2]), Counter(texts[1::2])
    assert low.most_common(1)[0][0] == "aab"
    assert high.most_common(1)[0][0] == "bba"
    assert max(map(len, texts)) <= 10


def test_the_same_seed_writes_the_same() -> None:
    corpus = corpus_of("abcab\n" * 9)
    first, again, other = (
        texts_of_ngram(counted(corpus, 2), 2, corpus, ["a"] * 3, 30, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_an_n_gram_writes_on_in_a_work() -> None:
    corpus = corpus_of("abcd" * 50 + "\n")
    (text,) = texts_of_ngram(counted(corpus, 3), 3, corpus, ["abc"], 30, temperature=0.1)
    assert text == ("dabc" * 8)[:30]


def test_a_network_writes_what_it_would_write_alone(network: CharacterNetwork) -> None:
    """At a temperature near zero nothing is left to chance, so the company of other rows would show."""
    corpus = corpus_of("abc\n")
    prefixes = ["", "a", "abcab", "c", ""]
    together = texts_of_network(network, corpus, prefixes, 25, temperature=1e-3)
    for prefix, text in zip(prefixes, together, strict=True):
        assert texts_of_network(network, corpus, [prefix], 25, temperature=1e-3) == [text]
    assert network.training


def test_a_networks_texts_have_its_probabilities(network: CharacterNetwork) -> None:
    corpus = corpus_of("abc\n", documents=True)
    texts = texts_of_network(network, corpus, [""] * 4000, 1, temperature=2.0, seed=4)
    with torch.no_grad():
        logits, _ = network.eval()(torch.zeros(1, 1, dtype=torch.int64), network.fresh_state(1))
    expected = torch.softmax(logits[0, 0] / 2.0, dim=0).numpy()
    shares = [sum(text == character for text in texts) / 4000 for character in ("", "a", "b", "c")]
    np.testing.assert_allclose(shares, expected, atol=0.03)


def test_documents_end_and_others_go_on(network: CharacterNetwork) -> None:
    texts = texts_of_network(network, corpus_of("abc\n", documents=True), [""] * 50, 40, seed=2)
    assert len(set(map(len, texts))) > 3
    assert not any("\n" in text for text in texts)
    works = texts_of_network(network, corpus_of("abc\n"), [""] * 50, 40, seed=2)
    assert set(map(len, works)) == {40}
    assert any("\n" in text for text in works)


def test_a_prefix_without_its_class_is_refused(network: CharacterNetwork) -> None:
    corpus = corpus_of("\x0ea\n", "\x0fb\n", documents=True, classes=CLASSES)
    with pytest.raises(ValueError, match="class"):
        texts_of_network(network, corpus, ["a"], 4)
    with pytest.raises(ValueError, match="class"):
        texts_of_network(network, corpus, [""], 4)
