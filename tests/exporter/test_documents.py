"""Whole documents are dealt, each once in an epoch, and the dealing goes on where it stood."""

import pytest
import torch
from torch import Tensor

from rhapsode_exporter.data.documents import IGNORED, Documents


def some(lengths: list[int]) -> list[Tensor]:
    """Documents whose characters are their own number, behind a zero."""
    return [torch.tensor([0, *[number] * length]) for number, length in enumerate(lengths, 1)]


def test_an_epoch_deals_each_document_once_and_whole() -> None:
    lengths = [1 + number * 7 % 20 for number in range(64)]
    documents = Documents(some(lengths), rows=4, longest=100, seed=1)
    seen: dict[int, int] = {}
    for _ in range(16):
        segment = documents.deal()
        assert segment.fresh.all()
        assert (segment.inputs[0] == 0).all()
        within = segment.targets[1:] != IGNORED
        assert torch.equal(segment.inputs[1:][within], segment.targets[:-1][within])
        for row in segment.targets.T:
            kept = row[row != IGNORED]
            assert len(kept.unique()) == 1
            seen[int(kept[0])] = len(kept)
    assert seen == dict(enumerate(lengths, 1))


def test_documents_of_a_batch_are_about_equally_long() -> None:
    documents = Documents(some([1 + number % 50 for number in range(400)]), rows=8, longest=100, seed=2)
    wasted = sum(int((documents.deal().targets == IGNORED).sum()) for _ in range(50))
    assert wasted < 0.1 * sum(1 + number % 50 for number in range(400))


def test_what_is_too_long_is_cut() -> None:
    segment = Documents(some([30, 30]), rows=2, longest=12, seed=0).deal()
    assert segment.targets.shape == (12, 2)


def test_dealing_goes_on_from_a_checkpoint_in_the_same_epoch() -> None:
    lengths = [1 + number % 9 for number in range(40)]
    one, other = (Documents(some(lengths), 4, 100, seed) for seed in (1, 2))
    for _ in range(13):
        one.deal()
    other.load_state_dict(one.state_dict())
    for _ in range(25):
        assert torch.equal(one.deal().inputs, other.deal().inputs)


def test_too_few_documents_are_refused() -> None:
    with pytest.raises(ValueError, match="3 documents do not fill a batch of 4"):
        Documents(some([1, 2, 3]), rows=4, longest=9, seed=0)
