"""Typographic characters become plain ones, or are counted as dropped."""

from rhapsode_exporter.data.austen import without_publisher
from rhapsode_exporter.data.typography import Fitted, as_alphabet, plain


def test_plain_characters() -> None:
    assert plain("“Don’t”\u00a0– wait—no…\u200b") == '"Don\'t" - wait--no...'


def test_what_an_alphabet_lacks_is_dropped() -> None:
    assert as_alphabet("‘a’ é–½", "'a -") == Fitted("'a' -", 2)
    assert as_alphabet("’", "’'") == Fitted("’", 0)


def test_a_novel_without_its_publisher() -> None:
    text = "***The Project Gutenberg Etext***\r\n\r\nLADY SUSAN\r\n\r\nI\r\n\r\nEnd of The Project Gutenberg Etext\r\n"
    assert without_publisher(text) == "LADY SUSAN\n\nI\n"
