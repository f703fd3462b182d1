"""Every reply in random company has the bytes of the reply alone, and a model that breaks this is found out."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.bundles import (
    Draft,
    autoencoder,
    boltzmann,
    class_generator,
    compressor,
    diffusion,
    grey_generator,
    judge,
    stepper,
    transformer,
)
from support.company import trials
from support.server import load, process, running
from support.variant_bundles import min_gru, quantised

MODELS = Path(__file__).resolve().parents[2] / "models"
REQUESTS = 1000
SEED = 20260
TENSORS = ("encrypt-receiver", "encrypt-sender")  # no rpc takes them yet


@pytest.fixture
def address() -> Iterator[str]:
    """A server of the shipped bundles, as a process of its own."""
    with tempfile.TemporaryDirectory(prefix="rhapsode-") as folder:
        flags = ("--address", f"unix:{folder}/socket", "--max-batch", "64")
        with process(MODELS, *flags) as server:
            yield server.address


@pytest.mark.timeout(900)  # for the long form
async def test_a_thousand_replies_of_shipped_models_are_the_same_alone_and_in_company(
    address: str, pytestconfig: pytest.Config
) -> None:
    shipped = len(list(MODELS.glob("*/*/bundle.json")))
    found = await trials(address, SEED, pytestconfig.getoption("company") or -(-REQUESTS // shipped))
    assert len(found) == shipped - len(TENSORS)
    assert {trial.model.name: trial.differing for trial in found if trial.differing} == {}
    assert all(trial.left for trial in found)


@pytest.mark.parametrize(
    ("make", "invariant"),
    [
        (lambda: quantised(stepper()), False),
        (lambda: quantised(autoencoder()), False),
        (lambda: min_gru("tiny-norm", normalised=True), False),
        (lambda: min_gru("tiny-gru", normalised=False), True),
        (class_generator, True),
        (diffusion, True),
        (boltzmann, True),
        (grey_generator, True),
        (judge, True),
        (compressor, True),
        (transformer, True),
        (lambda: quantised(compressor()), False),
    ],
    ids=[
        "text in dynamic int8",
        "pictures in dynamic int8",
        "minGRU with RMSNorm",
        "minGRU without",
        "a generator with classes",
        "noise at all times",
        "chains of all lengths",
        "a generator with its critic",
        "a critic that tells classes apart",
        "codes",
        "pictures to pictures",
        "codes in dynamic int8",
    ],
)
async def test_a_model_whose_rows_depend_on_their_company_is_flagged_and_caught(
    tmp_path: Path, make: Callable[[], Draft], invariant: bool
) -> None:
    make().write(tmp_path)
    async with running(load(tmp_path)) as server:
        (found,) = await trials(server.address, SEED, 100)
    assert found.model.runtime.batch_invariant == invariant
    assert (found.differing == []) == invariant
