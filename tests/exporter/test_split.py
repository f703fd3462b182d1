"""Documents are split by what they are, not by where they stand."""

import pytest

from rhapsode_exporter.data.split import MOST_VALIDATION_DOCUMENTS, alphabet_of, head, split_documents, tail

DOCUMENTS = [f"{number}\n" for number in range(1000)]


def test_the_order_of_the_documents_is_nothing() -> None:
    assert split_documents(DOCUMENTS) == split_documents(DOCUMENTS[::-1] + DOCUMENTS[:10])


def test_every_document_is_in_one_part() -> None:
    split = split_documents(DOCUMENTS)
    assert [len(part) for part in (split.training, split.validation, split.held_out)] == [940, 10, 50]
    assert sorted(split.training + split.validation + split.held_out) == sorted(DOCUMENTS)


def test_no_more_documents_to_choose_by_than_are_of_use() -> None:
    split = split_documents(f"{number}\n" for number in range(60_000))
    assert (len(split.validation), len(split.held_out)) == (MOST_VALIDATION_DOCUMENTS, 3000)


def test_a_work_is_cut_once() -> None:
    text = "0123456789" * 10
    assert (head(text, 0.05), tail(text, 0.05)) == (text[:95], text[95:])


@pytest.mark.parametrize(("texts", "alphabet"), [(["ba", "ca"], ("a", "b", "c")), ([], ())])
def test_an_alphabet_is_in_order(texts: list[str], alphabet: tuple[str, ...]) -> None:
    assert alphabet_of(texts) == alphabet
