"""A user's own text is taken, whole or line by line, or refused."""

from pathlib import Path

import pytest

from rhapsode_exporter.data.own_text import load_own
from rhapsode_exporter.errors import DataUnavailableError


def test_a_folder_of_own_texts(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("ab" * 5000, encoding="utf-8")
    (tmp_path / "sub" / "b.txt").write_text("cd" * 5000, encoding="utf-8")
    (tmp_path / "notes.md").write_text("not read", encoding="utf-8")
    corpus = load_own(tmp_path)
    assert corpus.alphabet == ("\n", "a", "b", "c", "d")
    assert [len(text) for text in corpus.held_out] == [500, 500]
    assert [len(text) for text in corpus.training] == [9405, 9405]
    assert corpus.held_out_words == "the last 5% of each file"
    assert not corpus.public


def test_a_byte_order_mark_is_no_character(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("ab" * 6000, encoding="utf-8-sig")
    assert load_own(tmp_path / "own.txt").alphabet == ("\n", "a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"short", "too little text"), (b"\xff\xfe" * 9000, "as UTF-8"), (None, "cannot read")],
)
def test_what_is_no_text_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataUnavailableError, match=message):
        load_own(path)


def test_of_lines_it_is_their_number_that_counts(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("\n".join(f"name {number}" for number in range(120)), encoding="utf-8")
    assert load_own(tmp_path / "own.txt", documents=True).documents
    (tmp_path / "few.txt").write_text("a much longer line\n" * 2_000, encoding="utf-8")
    with pytest.raises(DataUnavailableError, match="has 1 different lines"):
        load_own(tmp_path / "few.txt", documents=True)


def test_too_large_an_alphabet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("".join(map(chr, range(256, 556))) * 40, encoding="utf-8")
    with pytest.raises(DataUnavailableError, match="301 different characters"):
        load_own(tmp_path / "own.txt")


def test_lines_as_documents(tmp_path: Path) -> None:
    lines = [f"line {number:04} of many" for number in range(1000)]
    path = tmp_path / "own.txt"
    path.write_text("\n".join([*lines, "", *lines]), encoding="utf-8")
    corpus = load_own(path, documents=True)
    assert corpus.documents
    assert [len(part) for part in (corpus.training, corpus.validation, corpus.held_out)] == [940, 10, 50]
    assert sorted(corpus.training + corpus.validation + corpus.held_out) == [f"{line}\n" for line in lines]
    assert corpus.known == corpus.training + corpus.validation


def test_too_few_lines_are_refused(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("a line of text\n" * 9000, encoding="utf-8")
    with pytest.raises(DataUnavailableError, match="1 different lines; at least 100"):
        load_own(tmp_path / "own.txt", documents=True)
