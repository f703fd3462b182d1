"""What the records of all families have in common: settings as text, data set, software, the training record."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from rhapsode.v1.bundle_pb2 import DataSet, Training
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.run.training import Outcome

SOFTWARE = ("rhapsode", "torch", "numpy")


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices by itself; elsewhere it would only be slower."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def as_text(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as name and value in words, for a checkpoint or a bundle."""
    return {name: str(value) for name, value in settings.items()}


def data_set(corpus: Corpus) -> DataSet:
    """What a bundle says of the texts that it was made of."""
    return DataSet(name=corpus.name, licence=corpus.licence, sha256=corpus.sha256, held_out=corpus.held_out_words)


def training_record(
    data: DataSet, settings: Mapping[str, str], seed: int, outcome: Outcome, packages: tuple[str, ...] = ()
) -> Training:
    """How the weights came to be; `packages` names what made the data, beside the software that every family uses."""
    return Training(
        data=data,
        settings=settings,
        seed=seed,
        duration_seconds=round(outcome.position.seconds, 1),
        steps=outcome.position.step,
        stop_reason=outcome.stop.reason,
        stop_detail=outcome.stop.detail,
        software={"python": platform.python_version()} | {name: version(name) for name in (*SOFTWARE, *packages)},
    )
