"""The tensors that the graph of each role must have, as docs/bundle.md says (G5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from onnx import TensorProto

from rhapsode.v1.bundle_pb2 import Bundle, GraphRole

FLOAT, INT64 = int(TensorProto.FLOAT), int(TensorProto.INT64)
STEP, DECODE = GraphRole.GRAPH_ROLE_STEP, GraphRole.GRAPH_ROLE_DECODE
ENCODE, CRITIC = GraphRole.GRAPH_ROLE_ENCODE, GraphRole.GRAPH_ROLE_CRITIC

TENSORS: Mapping[GraphRole.ValueType, tuple[str, ...]] = MappingProxyType(
    {
        STEP: ("token", "logits"),
        DECODE: ("latent", "class_id", "image"),
        ENCODE: ("image", "mean", "log_variance"),
        CRITIC: ("image", "realness"),
    }
)
"""The names of the tensors of each role, states aside."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tensor of the contract: its ONNX element type, and the shape of one row of it, [sizes…] without the batch.

    A size of zero is one that bundle.yaml failed to say. `source` is the key there that says the sizes. `picture` is
    true for [channels, height, width].
    """

    name: str
    dtype: int
    row: tuple[int, ...]
    source: str = ""
    picture: bool = False

    @property
    def known(self) -> bool:
        """Whether every size is known."""
        return all(self.row)

    def __str__(self) -> str:
        """As in docs/bundle.md, with the key that says so: "float32 [batch, 64] (latent.size)"."""
        axes = ", ".join(map(str, ("batch", *self.row)))
        return f"{dtype_name(self.dtype)} [{axes}]" + (f" ({self.source})" if self.source else "")


def dtype_name(dtype: int) -> str:
    """An ONNX element type as docs/bundle.md writes it: "float32"."""
    name = str(TensorProto.DataType.Name(dtype)).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def wanted_inputs(role: GraphRole.ValueType, manifest: Bundle) -> tuple[Wanted, ...]:
    """The inputs that a graph of this role must have, states aside."""
    if role == STEP:
        return (Wanted("token", INT64, ()),)
    if role == DECODE:
        classes = (Wanted("class_id", INT64, ()),) if manifest.classes else ()
        return (Wanted("latent", FLOAT, (manifest.latent.size,), "latent.size"), *classes)
    return (_image(manifest),)


def wanted_outputs(role: GraphRole.ValueType, manifest: Bundle) -> tuple[Wanted, ...]:
    """The outputs that a graph of this role must have, states aside."""
    if role == STEP:
        return (Wanted("logits", FLOAT, (len(manifest.sequence.vocabulary.tokens),), "sequence.vocabulary"),)
    if role == DECODE:
        return (_image(manifest),)
    if role == ENCODE:
        return tuple(Wanted(name, FLOAT, (manifest.latent.size,), "latent.size") for name in ("mean", "log_variance"))
    return (Wanted("realness", FLOAT, ()),)


def _image(manifest: Bundle) -> Wanted:
    image = manifest.image
    return Wanted("image", FLOAT, (image.channels, image.height, image.width), "image", picture=True)
