"""The picture-to-picture loop, what it learns from, and what it is compared with."""

import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf.json_format import Parse
from rich.console import Console
from torch import Tensor

from exporter.test_export_pictures import assert_batch_invariant, pictures_in
from exporter.test_vae import StopAfter, run_in
from rhapsode.v1.bundle_pb2 import Bundle, ModelKind, StopReason
from rhapsode_exporter.bundle.draft import BundleDraft
from rhapsode_exporter.bundle.write import write_bundle
from rhapsode_exporter.data import glyphs
from rhapsode_exporter.data.damage import HOLES, SIDE, damage
from rhapsode_exporter.errors import DataUnavailableError
from rhapsode_exporter.families import translations
from rhapsode_exporter.families.base import Family, Order
from rhapsode_exporter.families.digits_restore import DigitsRestore
from rhapsode_exporter.families.glyphs_bold import GlyphsBold
from rhapsode_exporter.judge.translation import best_dilation, best_median, mean_distance
from rhapsode_exporter.loops.translation import Lessons, Pairs, Translated, TranslationSettings, answers, train
from rhapsode_exporter.networks.translator import PatchCritic, UNet
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.folder import RunFolder
from rhapsode_exporter.run.interrupt import Interrupt
from rhapsode_exporter.run.sheets import beside
from rhapsode_exporter.run.stop import StopRule
from support.server import load

SETTINGS = TranslationSettings(batch=8, warm_up=2, average_decay=0.9, evaluate_every=4, bfloat16=False)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A size that trains in a moment."""
    monkeypatch.setattr(translations, "QUICK", replace(translations.QUICK, width=4, critic_width=4))


def bars(count: int) -> Tensor:
    """Pictures [count, 1, 28, 28] of one upright bar."""
    places = torch.randint(4, 24, (count, 1, 1), generator=torch.Generator().manual_seed(0))
    return (torch.arange(28)[None, None, :].sub(places).abs() < 2).float().expand(count, 28, 28)[:, None]


def _draw(pictures: Tensor, count: int, chance: Chance) -> Pairs:
    wanted = pictures[chance.rows(len(pictures), count)]
    return Pairs(damage(wanted, chance), wanted)


LESSONS = Lessons(partial(_draw, bars(64)), _draw(bars(64), 40, Chance(1)))


def trained(folder: Path, rule: StopRule, interrupt: Interrupt | None = None, evaluate_every: int = 4) -> Translated:
    torch.manual_seed(1)
    settings = replace(SETTINGS, evaluate_every=evaluate_every)
    run = run_in(folder, rule, interrupt)
    return train(run, UNet(4), PatchCritic(4), LESSONS, settings, {"seed": "3"})


def order_in(folder: Path, data: Path | None = None) -> Order:
    return Order(True, 7, folder / "cache", folder / "runs", Console(file=io.StringIO()), Interrupt(), data, steps=4)


def exported(family: Family, order: Order, out: Path) -> tuple[Bundle, Path]:
    draft = family.train(order)
    assert isinstance(draft, BundleDraft)
    folder = write_bundle(draft, out, 1)
    return Parse((folder / "bundle.json").read_text(encoding="utf-8"), Bundle()), folder


def test_it_learns_to_mend(tmp_path: Path) -> None:
    made = trained(tmp_path, StopRule(steps=150), evaluate_every=150)
    first, last = (row.values["validation_squared_error"] for row in RunFolder(tmp_path).history())
    assert last < first / 4
    pairs = LESSONS.validation
    assert mean_distance(answers(made.network, pairs.given), pairs.wanted) < mean_distance(pairs.given, pairs.wanted)
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == ["step-000000.png", "step-000150.png"]


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", StopRule(steps=10))
    parted = trained(tmp_path / "parts", StopRule(steps=10), StopAfter(6))
    assert parted.outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED
    resumed = trained(tmp_path / "parts", StopRule(steps=10))
    assert resumed.outcome.position.step == 10
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name


def test_the_critic_judges_patches_of_both_pictures() -> None:
    critic, given = PatchCritic(4).eval(), bars(3)
    changed = given.clone()
    changed[:, :, :4, :4] = 1.0
    with torch.no_grad():
        patches, others = critic(given, given), critic(changed, given)
    assert patches.shape == (3, 7, 7)
    differing = (patches != others).any(dim=0)
    assert differing[0, 0]
    assert not differing[5:, 5:].any()


def test_damage_has_noise_and_holes() -> None:
    white = torch.ones(50, 1, 28, 28)
    damaged = damage(white, Chance(0))
    black = (damaged == 0.0).flatten(1).sum(dim=1)
    assert bool(((black >= SIDE * SIDE) & (black <= HOLES * SIDE * SIDE + 3)).all())
    assert 0.05 < float(damaged[damaged > 0].std()) < 0.25
    assert torch.equal(damaged, damage(white, Chance(0)))
    assert (float(damaged.min()), float(damaged.max())) == (0.0, 1.0)


def test_no_glyph_is_in_two_parts_and_bold_is_bolder() -> None:
    cut = glyphs.load()
    parts = [{picture.tobytes() for picture in part.plain} for part in (cut.training, cut.validation, cut.held_out)]
    assert [len(part) for part in parts] == [len(cut.training), len(cut.validation), len(cut.held_out)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert len(cut.training) > 6 * len(cut.held_out) > 3000
    assert cut.held_out.bold.mean(dtype=float) > 1.1 * cut.held_out.plain.mean(dtype=float)


def test_the_best_of_the_simple_ways_is_named() -> None:
    bar = bars(20)
    salted = bar.clone()
    salted[:, :, ::7, ::5] = 1.0
    median = best_median(Pairs(salted, bar))
    assert median.value > 30
    assert median.words.startswith("a median filter of 3×3")
    wider = torch.maximum(bar, torch.roll(bar, 1, dims=3))
    dilation = best_dilation(Pairs(bar, wider))
    assert (dilation.value, dilation.words) == (0.0, "strokes dilated by a pixel to the right, the best of four ways")


def test_groups_stand_below_each_other() -> None:
    one, two = torch.zeros(5, 1, 2, 2), torch.ones(5, 1, 2, 2)
    assert beside(one, two, columns=3)[:, 0, 0, 0].tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 1, 1]


@pytest.mark.parametrize("mine", [True, False], ids=["one's own pictures", "glyphs"])
def test_a_family_becomes_a_transform_that_the_server_serves(tmp_path: Path, mine: bool) -> None:
    family = DigitsRestore() if mine else GlyphsBold()
    order = order_in(tmp_path, pictures_in(tmp_path / "mine") if mine else None)
    bundle, folder = exported(family, order, tmp_path / "models")
    assert bundle.kind == ModelKind.MODEL_KIND_TRANSFORM
    (graph,) = bundle.graphs
    assert ([spec.name for spec in graph.inputs], [spec.name for spec in graph.outputs]) == (["image"], ["transformed"])
    assert all(metric.HasField("baseline") and np.isfinite(metric.value) for metric in bundle.metrics)
    assert_batch_invariant(bundle, folder)
    assert load(tmp_path / "models").models.find(family.name).transformer is not None


def test_glyphs_take_no_data(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError, match="its own pairs"):
        GlyphsBold().train(order_in(tmp_path, tmp_path))
