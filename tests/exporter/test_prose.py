"""Words, marks and figures of texts are what they are known to be."""

import pytest

from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.judge.marks import REACH, tallies
from rhapsode_exporter.judge.prose import bare, figures
from rhapsode_exporter.judge.words import known_share, words


def corpus_of(*training: str, documents: bool = False, classes: dict[str, str] | None = None) -> Corpus:
    return Corpus(
        title="texts",
        name="Texts",
        licence="MIT",
        public=True,
        sha256="0" * 64,
        held_out_words="the last",
        alphabet=tuple(sorted({"\n"}.union(*training))),
        training=training,
        validation=training[:1],
        held_out=training[-1:],
        documents=documents,
        classes=classes or {},
    )


def test_words_are_letters_with_apostrophes_between_them() -> None:
    assert words(["'Tis th' élan o'er-leap’d, 3rd O'ER"]) == ["tis", "th", "élan", "o'er", "leap’d", "rd", "o'er"]
    assert known_share(["The cat, the CAT"], ["a cat"]) == 0.5
    assert known_share(["42!"], ["a cat"]) is None


@pytest.mark.parametrize(
    ("text", "kind", "opened", "closed"),
    [
        ("(a (b) c", "()", 2, 1),
        ("a) b (", "()", 1, 0),
        ("[Exit (left])", "[]", 1, 1),
        ('He said "no" and "yes.', '""', 2, 1),
        ('"One (two "three" four', '""', 2, 1),
        ("don't o'er th' rock'd", "''", 0, 0),
        ("'Let me not live,'--he said", "''", 1, 1),
        ("'I don't,' said he; 'I", "''", 2, 1),
        ("“Don’t,” said ‘she’", "“”", 1, 1),
        ("“Don’t,” said ‘she’", "‘’", 1, 1),
        ("(" + " " * REACH + ")", "()", 1, 0),
    ],
)
def test_marks_are_counted(text: str, kind: str, opened: int, closed: int) -> None:
    tally = tallies([text])[kind]
    assert (tally.opened, tally.closed) == (opened, closed)


def test_a_mark_is_not_closed_in_another_text() -> None:
    assert tallies(["(a", "b)"])["()"].closed == 0


def test_figures_of_works_stand_beside_those_of_the_n_gram() -> None:
    corpus = corpus_of("The quick brown fox (who is old) jumps over dogs.", "Others [two] sleep 'tis said. " * 2)
    sample = "Quick brown fox (who is old) jumps [over"
    found = {metric.name: metric for metric in figures([sample], ["zzz (qqq) dogs"], corpus, "a bigram")}
    assert {name: round(metric.value, 6) for name, metric in found.items()} == {
        "known_words_share": 1.0,
        "closed_marks_share": 0.5,
        "longest_copied_run_characters": 34.0,
        "copied_20_grams_share": round(15 / 21, 6),
    }
    words_share = found["known_words_share"]
    assert words_share.baseline == pytest.approx(1 / 3)
    assert words_share.baseline_name == "texts of a bigram"
    assert "40 characters in 1 text generated; of the held-out text 1)" in words_share.description
    assert "of the kinds () []," in found["closed_marks_share"].description
    assert not found["copied_20_grams_share"].HasField("baseline")


def test_documents_are_judged_without_class_or_end() -> None:
    corpus = corpus_of("\x0eone two\n", "\x0fthree\n", documents=True, classes={"a": "\x0e", "b": "\x0f"})
    assert bare(["\x0eone\n", "two", "\x0fthree"], corpus) == ["one", "two", "three"]
    found = {metric.name: metric.value for metric in figures(["\x0fone two\n", "two"], ["one"], corpus, "a bigram")}
    assert found == {"known_words_share": 1.0, "longest_copied_run_characters": 7.0, "copied_documents_share": 0.5}
