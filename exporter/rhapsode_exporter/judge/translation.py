"""What is achieved without learning, to compare picture-to-picture networks with."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from rhapsode_exporter.judge.pictures import mean_psnr
from rhapsode_exporter.loops.translation import Pairs
from rhapsode_exporter.run.sheets import to_bytes

MEDIANS = (3, 5, 7)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The best of several simple ways: its figure, and in words what it is."""

    value: float
    words: str


def mean_distance(images: Tensor, references: Tensor) -> float:
    """Mean absolute difference of pixels."""
    return float((images - references).abs().mean())


def best_median(pairs: Pairs) -> Baseline:
    """The mean ratio in dB after Pillow's median filter, of the size that gives the best."""
    figures = {
        size: mean_psnr(_filtered(pairs.given, ImageFilter.MedianFilter(size)), pairs.wanted) for size in MEDIANS
    }
    best = max(figures, key=lambda size: figures[size])
    return Baseline(figures[best], f"a median filter of {best}×{best}, the best of its sizes")


def best_dilation(pairs: Pairs) -> Baseline:
    """The mean distance after thickening strokes: to the left, to the right, to both sides, or all around."""
    figures = {words: mean_distance(made, pairs.wanted) for words, made in _dilations(pairs.given)}
    best = min(figures, key=lambda words: figures[words])
    return Baseline(figures[best], f"strokes dilated {best}, the best of four ways")


def _dilations(images: Tensor) -> Iterator[tuple[str, Tensor]]:
    left, right = (torch.maximum(images, torch.roll(images, by, dims=3)) for by in (-1, 1))
    yield "by a pixel to the left", left
    yield "by a pixel to the right", right
    yield "by a pixel to both sides", torch.maximum(left, right)
    yield "by a pixel all around", _filtered(images, ImageFilter.MaxFilter(3))


def _filtered(images: Tensor, kernel: ImageFilter.Filter) -> Tensor:
    """Grey pictures [N, 1, H, W] in [0, 1], each through one of Pillow's filters."""
    made = [np.asarray(Image.fromarray(each[:, :, 0]).filter(kernel)) for each in to_bytes(images, 0.0, 1.0)]
    return torch.from_numpy(np.stack(made))[:, None].float().div(255.0)
