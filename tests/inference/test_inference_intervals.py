"""The numbers of a graph's inputs have the bounds that the same numbers have in rhapsode.v1."""

from collections.abc import Mapping

import pytest

from rhapsode_server.repository.schema import CRITIC, DECODE, DENOISE, ENCODE, GIBBS, STEP, TRANSFORM
from rhapsode_server.rpc.inference.intervals import Interval, intervals
from support import bundles
from support.bundles import Draft

TOKENS = len(bundles.CHARACTERS)
CASES: Mapping[str, tuple[Draft, int, dict[str, Interval]]] = {
    "latent": (
        bundles.class_generator(),
        DECODE,
        {"latent": Interval(-1000, 1000), "class_id": Interval(0, 2)},
    ),
    "noise of a chain": (bundles.boltzmann(), GIBBS, {"uniform": Interval(0, 1), "class_id": Interval(0, 2)}),
    "picture to encode": (bundles.autoencoder(), ENCODE, {"image": Interval(-3, 3)}),
    "picture to judge": (bundles.judge(), CRITIC, {"image": Interval(-3, 3)}),
    "picture to transform": (bundles.transformer(), TRANSFORM, {"image": Interval(-3, 3)}),
    "picture that is noise": (bundles.diffusion(), DENOISE, {"class_id": Interval(0, 3)}),
    "token": (bundles.stepper(), STEP, {"token": Interval(0, TOKENS - 1)}),
    "tensors that mean nothing here": (bundles.cipher(), TRANSFORM, {}),
}


@pytest.mark.parametrize(("draft", "role", "wanted"), CASES.values(), ids=CASES)
def test_inputs_have_the_bounds_of_their_meaning(draft: Draft, role: int, wanted: dict[str, Interval]) -> None:
    assert intervals(draft.bundle, role) == wanted
