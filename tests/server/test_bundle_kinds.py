"""Every rule that docs/bundle.md gives for codes, noise and chains is broken here, and the server says which."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import numpy as safetensors

from rhapsode.v1 import bundle_pb2
from rhapsode.v1.bundle_pb2 import Bundle
from support.breaking import Break, check_line, refusal, said, write
from support.bundles import boltzmann, compressor, diffusion
from support.codes import code_file, frequencies


def table(values: NDArray[Any]) -> Break:
    return lambda folder: write(folder, "code.safetensors", code_file(values))


LARGE = Bundle(latent=bundle_pb2.LatentSpec(size=2**16), code=bundle_pb2.CodeSpec(reach=2**12))
CODES: list[tuple[str, str, Break]] = [
    ("C1", "code.step", said(lambda b: setattr(b.code, "step", 0.0))),
    ("C1", "code.step", said(lambda b: setattr(b.code, "step", float("inf")))),
    ("C1", "code.reach: must be in [1, 4096]", said(lambda b: setattr(b.code, "reach", 0))),
    ("C1", "code.reach", said(lambda b: setattr(b.code, "reach", 4097))),
    ("C1", "more than 4194304 frequencies", said(lambda b: b.MergeFrom(LARGE))),
    ("C1", "no classes", said(lambda b: b.classes.append("cat"))),
    ("C1", "needs an encode and a decode graph", said(lambda b: b.graphs.pop())),
    ("C2", "code.safetensors: is not listed", said(lambda b: b.ClearField("files"))),
    ("C2", "is not a safetensors file", lambda folder: write(folder, "code.safetensors", b"x")),
    ("C2", "it is 'frequencies' alone", lambda folder: write(folder, "code.safetensors", safetensors.save({}))),
    ("C2", "is int32 [8, 21]; it is int32 [8, 19]", table(frequencies(8, 10))),
    ("C2", "is int64 [8, 19]", table(frequencies(8, 9).astype(np.int64))),
    ("C3", "each row sums to 16777216", table(frequencies(8, 9) + np.eye(8, 19, dtype=np.int32))),
    ("C3", "at least 1", table(frequencies(8, 9) - frequencies(8, 9)[:, :1] * np.eye(1, 19, dtype=np.int32))),
]


NOISE: list[tuple[str, str, Break]] = [
    ("M3", "has no denoise graph", said(lambda b: b.ClearField("graphs"))),
    ("M5", "diffusion: stands exactly where", said(lambda b: b.ClearField("diffusion"))),
    ("M9", "latent: must be the noise of a whole picture: 64", said(lambda b: setattr(b.latent, "size", 63))),
    ("M9", "latent: must be the noise of a whole picture", said(lambda b: setattr(b.latent, "prior", 2))),
    ("M9", "diffusion.training_steps", said(lambda b: setattr(b.diffusion, "training_steps", 10_001))),
    ("M9", "diffusion.signal: has 41 numbers, for 40", said(lambda b: b.diffusion.signal.append(0.001))),
    ("M9", "diffusion.signal: must fall", said(lambda b: b.diffusion.signal.__setitem__(3, b.diffusion.signal[2]))),
    ("M9", "diffusion.signal: must fall", said(lambda b: b.diffusion.signal.__setitem__(0, 1.0))),
    ("M9", "diffusion.signal: must fall", said(lambda b: b.diffusion.signal.__setitem__(39, 0.0))),
    ("M9", "diffusion.signal: must fall", said(lambda b: b.diffusion.signal.__setitem__(7, float("nan")))),
    ("M9", "diffusion.default_steps", said(lambda b: setattr(b.diffusion, "default_steps", 0))),
    ("M9", "diffusion.default_steps", said(lambda b: setattr(b.diffusion, "default_steps", 41))),
    ("M9", "diffusion.default_guidance", said(lambda b: setattr(b.diffusion, "default_guidance", float("nan")))),
    ("G5", "tensor 'class_id'", said(lambda b: b.ClearField("classes"))),
]

CHAINS: list[tuple[str, str, Break]] = [
    ("M3", "has no gibbs graph", said(lambda b: b.ClearField("graphs"))),
    ("M5", "gibbs: stands exactly where", said(lambda b: b.ClearField("gibbs"))),
    ("M5", "gibbs.state_size", said(lambda b: setattr(b.gibbs, "state_size", 0))),
    ("M5", "gibbs.noise_size", said(lambda b: setattr(b.gibbs, "noise_size", 65_537))),
    ("M5", "gibbs.default_steps", said(lambda b: setattr(b.gibbs, "default_steps", 0))),
    ("M5", "gibbs.start: has 17 numbers, the state 16", said(lambda b: b.gibbs.start.append(1))),
    ("M7", "gibbs.start", said(lambda b: b.gibbs.start.__setitem__(3, float("nan")))),
    ("G5", "tensor 'uniform'", said(lambda b: setattr(b.gibbs, "noise_size", 79))),
    ("G5", "tensor 'class_id'", said(lambda b: b.ClearField("classes"))),
]


@pytest.mark.parametrize(("rule", "told", "change"), NOISE, ids=lambda value: str(value)[:24])
def test_a_broken_diffusion_model_is_refused(tmp_path: Path, rule: str, told: str, change: Break) -> None:
    folder = diffusion().write(tmp_path)
    change(folder)
    check_line(refusal(folder), folder, rule, told)


@pytest.mark.parametrize(("rule", "told", "change"), CODES, ids=lambda value: str(value)[:24])
def test_a_broken_compressor_is_refused(tmp_path: Path, rule: str, told: str, change: Break) -> None:
    folder = compressor().write(tmp_path)
    change(folder)
    check_line(refusal(folder), folder, rule, told)


@pytest.mark.parametrize(("rule", "told", "change"), CHAINS, ids=lambda value: str(value)[:24])
def test_a_broken_boltzmann_machine_is_refused(tmp_path: Path, rule: str, told: str, change: Break) -> None:
    folder = boltzmann().write(tmp_path)
    change(folder)
    check_line(refusal(folder), folder, rule, told)
