"""Everything that makes a bundle, before it is checked and written."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from rhapsode.v1.bundle_pb2 import (
    CodeSpec,
    DiffusionSpec,
    GibbsSpec,
    GraphRole,
    ImageSpec,
    LatentSpec,
    Metric,
    ModelKind,
    SequenceSpec,
    Training,
)

GOLDEN_ROWS = 33
DEFAULT_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class StateNames:
    """A state tensor of a step graph: the input that takes it and the output that gives the next.

    Every number of a fresh row's state is `initial`.
    """

    input: str
    output: str
    initial: float = 0.0


@dataclass(frozen=True, slots=True)
class GraphDraft:
    """A network in evaluation mode that is to become one ONNX graph.

    `golden_inputs` names the inputs in the order of the network's arguments and gives GOLDEN_ROWS rows of each, typical
    of use; `outputs` names what it returns, in order. Axis 0 of every tensor is the batch.
    """

    role: GraphRole.ValueType
    network: nn.Module
    golden_inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    states: tuple[StateNames, ...] = ()
    tolerance: float = DEFAULT_TOLERANCE


@dataclass(frozen=True, slots=True)
class Preview:
    """A taste of the model for people: `preview.png` or `preview.txt`."""

    filename: str
    content: bytes


@dataclass(frozen=True, slots=True, eq=False)
class CodeDraft:
    """How latents become codes, and the frequencies int32 [size, 2 reach + 1] of each number's values."""

    spec: CodeSpec
    frequencies: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class AttributeDraft:
    """A named direction [D] in latent space, and how many times it is added unless a request says otherwise."""

    name: str
    description: str
    vector: Tensor
    strength: float
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class BundleDraft:
    """A trained model with all that is known of it; what does not apply to its kind is None."""

    name: str
    kind: ModelKind.ValueType
    description: str
    licence: str
    graphs: tuple[GraphDraft, ...]
    training: Training
    metrics: tuple[Metric, ...]
    preview: Preview
    latent: LatentSpec | None = None
    image: ImageSpec | None = None
    sequence: SequenceSpec | None = None
    classes: tuple[str, ...] = ()
    code: CodeDraft | None = None
    diffusion: DiffusionSpec | None = None
    gibbs: GibbsSpec | None = None
    attributes: tuple[AttributeDraft, ...] = ()
    tokenizer: bytes | None = None
    """A tokenizer.json, in the format of Hugging Face tokenizers, of just the vocabulary's tokens."""
