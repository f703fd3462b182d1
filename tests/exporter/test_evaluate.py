"""A bundle is measured on the pictures that it never saw, and keeps the figures if it is told to."""

import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from rhapsode.v1.bundle_pb2 import GraphRole, Metric
from rhapsode_exporter.bundle.find import find_bundle, newest_bundles
from rhapsode_exporter.bundle.read import read_bundle
from rhapsode_exporter.data.archives import FOLDER_VARIABLE, Archive
from rhapsode_exporter.errors import BundleUnreadableError, DataUnavailableError, EvaluationRefusedError
from rhapsode_exporter.main import build_app
from support import bundles, judged

OF_PICTURES = ["fresh_critic_accuracy_share", "novelty_ratio", "copies_share"]
OF_CLASSES = [
    "frechet_distance",
    "frechet_distance_spread",
    "frechet_distance_of_real",
    "precision_share",
    "recall_share",
    "covered_classes",
    "commonest_class_share",
]


@dataclass(frozen=True)
class Home:
    """A cache of data with a bundle that was trained on them."""

    cache: Path
    archive: Archive
    generator: Path

    def models(self, folder: Path) -> Path:
        """A folder of bundles of one's own, with the generator in it."""
        models = folder / "models"
        shutil.copytree(self.generator, models / self.generator.parent.name / "1")
        return models


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        judged.hurried(patch)
        patch.setitem(os.environ, FOLDER_VARIABLE, str(folder / "cache"))
        archive = judged.signs(folder / "cache", patch)
        yield Home(folder / "cache", archive, judged.write_generator(folder / "models", archive))


def evaluate(models: Path, name: str, *words: str) -> str:
    """What the command prints."""
    console = Console(file=io.StringIO(), width=200)
    threads = torch.get_num_threads()
    try:
        done = CliRunner().invoke(
            build_app([], console), ["evaluate", name, "--models", str(models), *words], catch_exceptions=False
        )
    finally:
        torch.set_num_threads(threads)
    assert done.exit_code == 0, done.output
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def figures(folder: Path) -> dict[str, Metric]:
    metrics = read_bundle(folder).manifest.metrics
    assert len({metric.name for metric in metrics}) == len(metrics)
    return {metric.name: metric for metric in metrics}


def test_a_generator_of_noise_is_found_out(tmp_path: Path, home: Home) -> None:
    models = home.models(tmp_path)
    folder = models / "signs-gan" / "1"
    before = (folder / "bundle.json").read_bytes()
    said = evaluate(models, "signs-gan", "--pictures", "50", "--seeds", "2")
    assert "50 pictures with each of 2 seeds" in said
    for name in (*OF_CLASSES, *OF_PICTURES, "critic_anomaly_auroc", "accuracy_share"):
        assert name in said
    assert (folder / "bundle.json").read_bytes() == before
    evaluate(models, "signs-gan", "--seeds", "2", "--version", "1", "--write")
    found = figures(folder)
    distance = found["judged_frechet_distance"]
    assert distance.value > distance.baseline > 0
    assert distance.value > 10 * found["judged_frechet_distance_of_real"].value > 0
    assert "which gave" in distance.description
    assert found["judged_precision_share"].value < found["judged_precision_share"].baseline
    assert found["judged_novelty_ratio"].value > 1
    assert found["judged_accuracy_share"].value > 0.9
    assert found["judged_accuracy_share"].baseline == pytest.approx(0.1)
    assert found["judged_covered_classes"].baseline == 10


def test_figures_are_put_in_the_place_of_older_ones(tmp_path: Path, home: Home) -> None:
    models = home.models(tmp_path)
    folder = models / "signs-gan" / "1"
    before = read_bundle(folder).manifest
    for seeds in ("2", "3"):
        evaluate(models, "signs-gan", "--pictures", "20", "--seeds", seeds, "--write")
    after = read_bundle(folder).manifest  # whose hashes are right
    assert next(iter(figures(folder))) == "of_the_training"
    assert all(name in (folder / "card.md").read_text(encoding="utf-8") for name in figures(folder))
    assert "3 sampling seeds" in figures(folder)["judged_frechet_distance"].description
    hashes = [{file.path: file.sha256 for file in each.files if file.path != "card.md"} for each in (before, after)]
    assert hashes[0] == hashes[1]
    for manifest in (before, after):
        manifest.ClearField("files")
        manifest.ClearField("metrics")
    assert before == after
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_pictures_of_no_known_class_have_fewer_figures(tmp_path: Path) -> None:
    folder = judged.write_autoencoder(tmp_path / "models", tmp_path / "mine")
    data = ("--data", str(tmp_path / "mine"))
    said = evaluate(tmp_path / "models", "tiny-faces", *data, "--write")
    assert "12 pictures with each of 3 seeds" in said
    names = [name.removeprefix("judged_") for name in figures(folder) if name.startswith("judged_")]
    assert names == [*OF_PICTURES, "psnr_db", "elbo_nats", "reconstruction_anomaly_auroc"]
    assert "mine" in figures(folder)["judged_psnr_db"].description


def test_there_is_no_bound_where_the_deviation_is_not_known(tmp_path: Path) -> None:
    folder = judged.write_autoencoder(tmp_path / "models", tmp_path / "mine", deviation=False)
    evaluate(tmp_path / "models", "tiny-faces", "--data", str(tmp_path / "mine"), "--write")
    assert "judged_psnr_db" in figures(folder)
    assert "judged_elbo_nats" not in figures(folder)


def test_a_compressor_is_not_judged_by_random_latents(tmp_path: Path) -> None:
    folder = judged.write_autoencoder(tmp_path / "models", tmp_path / "mine", compresses=True)
    said = evaluate(tmp_path / "models", "tiny-faces", "--data", str(tmp_path / "mine"), "--write")
    assert "codes of pictures" in said
    assert "judged_psnr_db" in figures(folder)
    assert "judged_novelty_ratio" not in figures(folder)


def test_what_cannot_be_measured_is_refused(tmp_path: Path, home: Home) -> None:
    models = tmp_path / "models"
    bundles.stepper().write(models)
    with pytest.raises(EvaluationRefusedError, match="no pictures"):
        evaluate(models, "tiny-text")
    bundles.grey_generator().write(models)
    with pytest.raises(EvaluationRefusedError, match=r"not known here.*--data"):
        evaluate(models, "tiny-digits")
    other = bundles.grey_generator("tiny-others")
    other.bundle.training.data.sha256 = home.archive.sha256
    other.write(models)
    with pytest.raises(EvaluationRefusedError, match="8×8 with 1 channels"):
        evaluate(models, "tiny-others")


def test_an_encoder_alone_has_no_figure(tmp_path: Path) -> None:
    draft = bundles.autoencoder()
    draft.graphs.pop(GraphRole.GRAPH_ROLE_DECODE)
    del draft.bundle.graphs[0]
    draft.bundle.training.data.name = "DiceBear pixel-art, 60 faces drawn from seeds"
    draft.bundle.image.height = draft.bundle.image.width = 16
    draft.write(tmp_path)
    with pytest.raises(EvaluationRefusedError, match="neither draws pictures nor judges"):
        evaluate(tmp_path, "tiny-faces")


def test_other_pictures_than_those_of_the_training_are_refused(tmp_path: Path) -> None:
    judged.write_autoencoder(tmp_path / "models", tmp_path / "mine")
    judged.own_pictures(tmp_path / "theirs", count=101)
    with pytest.raises(DataUnavailableError, match="theirs does not hold the pictures"):
        evaluate(tmp_path / "models", "tiny-faces", "--data", str(tmp_path / "theirs"))


def test_a_bundle_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    bundles.stepper().write(tmp_path)
    with pytest.raises(BundleUnreadableError, match="no bundle named digits; it has tiny-text"):
        evaluate(tmp_path, "digits")
    with pytest.raises(BundleUnreadableError, match="holds no bundle"):
        evaluate(tmp_path, "tiny-text", "--version", "7")


def test_the_newest_version_is_found(tmp_path: Path) -> None:
    for version in (9, 10):
        bundles.stepper(version=version).write(tmp_path)
    assert find_bundle(tmp_path, "tiny-text") == tmp_path / "tiny-text" / "10"
    assert newest_bundles(tmp_path) == (tmp_path / "tiny-text" / "10",)
