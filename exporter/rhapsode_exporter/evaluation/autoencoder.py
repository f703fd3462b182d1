"""The figures of a bundle that encodes and decodes: how near its pictures come back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rhapsode.v1.bundle_pb2 import GraphRole
from rhapsode_exporter.data.real import Floats, Real
from rhapsode_exporter.evaluation.metric import Baseline, Finding, figure
from rhapsode_exporter.evaluation.pictures import to_range, to_unit
from rhapsode_exporter.judge.bound import log_density, lower_bound
from rhapsode_exporter.judge.pictures import mean_psnr
from rhapsode_exporter.sampling.opened import Opened

DEVIATION = "pixel_deviation"


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """The normals [N, D] that the encoder gives for pictures."""

    mean: Floats
    log_variance: Floats


def encode(bundle: Opened, images: Floats) -> Codes:
    """The normals of pictures [N, C, H, W] in [0, 1]."""
    outputs = bundle.run(GraphRole.GRAPH_ROLE_ENCODE, {"image": to_range(images, bundle.manifest)})
    return Codes(outputs["mean"].astype(np.float32), outputs["log_variance"].astype(np.float32))


def decode(bundle: Opened, latents: Floats) -> Floats:
    """The pictures [N, C, H, W] in [0, 1] of latents [N, D]."""
    images = bundle.run(GraphRole.GRAPH_ROLE_DECODE, {"latent": latents})["image"]
    return to_unit(images.astype(np.float32), bundle.manifest)


def errors(bundle: Opened, images: Floats) -> Floats:
    """The mean squared error [N] of every picture, decoded from the mean of its latent: an anomaly score."""
    apart: Floats = np.square(decode(bundle, encode(bundle, images).mean) - images)
    return np.asarray(apart.reshape(len(images), -1).mean(axis=1))


def figures(bundle: Opened, real: Real, seeds: Sequence[int]) -> Iterator[Finding]:
    """PSNR, and the evidence bound where the bundle's settings name the deviation of a pixel."""
    codes, usual = encode(bundle, real.held_out), np.broadcast_to(real.training.mean(axis=0), real.held_out.shape)
    yield figure(
        "psnr_db",
        [_psnr(decode(bundle, codes.mean), real.held_out)],
        f"mean over {real.words} of each one's peak signal-to-noise ratio, decoded from the mean of its latent",
        Baseline(_psnr(usual, real.held_out), "the mean picture of the training set"),
        higher_is_better=True,
    )
    if DEVIATION in bundle.manifest.training.settings:
        deviation = float(bundle.manifest.training.settings[DEVIATION])
        yield figure(
            "elbo_nats",
            [_bound(bundle, real.held_out, codes, deviation, seed) for seed in seeds],
            f"evidence lower bound on the log-density of a picture, mean over {real.words}, with normal pixels of "
            f"deviation {deviation:g}",
            Baseline(
                float(log_density(real.held_out, usual, deviation).mean()),
                "the mean picture of the training set with the same deviation",
            ),
            higher_is_better=True,
        )


def _bound(bundle: Opened, images: Floats, codes: Codes, deviation: float, seed: int) -> float:
    noise = np.random.default_rng(seed).standard_normal(codes.mean.shape, dtype=np.float32)
    decoded = decode(bundle, codes.mean + np.exp(0.5 * codes.log_variance) * noise)
    return float(lower_bound(images, decoded, codes.mean, codes.log_variance, deviation).mean())


def _psnr(images: Floats, references: Floats) -> float:
    return mean_psnr(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(references))
