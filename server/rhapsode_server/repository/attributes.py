"""A bundle's named directions in latent space: what the manifest says of them, and the file of their vectors."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from rhapsode.v1.bundle_pb2 import Attribute, Bundle
from rhapsode_server.repository import limits
from rhapsode_server.repository.problems import Problem, refusal, refuse
from rhapsode_server.repository.schema import ATTRIBUTES, DECODE, ENCODE

NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")
STRENGTH = 100.0  # as the bounds of AttributeEdit.strength in image.proto
VALUE = 1000.0  # as those of Latent.values

Vectors = Mapping[str, NDArray[np.float32]]
NONE: Vectors = MappingProxyType({})


def check(bundle: Bundle) -> Iterator[Problem]:
    """What the manifest has against the rules of attributes."""
    listed = any(file.path == ATTRIBUTES for file in bundle.files)
    if listed != bool(bundle.attributes):
        yield Problem("A1", ATTRIBUTES, "is listed in files exactly where there are attributes")
    if bundle.attributes and not {DECODE, ENCODE}.issubset(graph.role for graph in bundle.graphs):
        yield Problem("A1", "attributes", "need a decode and an encode graph")
    names = [attribute.name for attribute in bundle.attributes]
    if len(names) > limits.ATTRIBUTES:
        yield Problem("A2", "attributes", f"has {len(names)} entries, the most is {limits.ATTRIBUTES}")
    for name in sorted(name for name, count in Counter(names).items() if count > 1):
        yield Problem("A2", "attributes", f"has {name!r} twice")
    for attribute in bundle.attributes:
        yield from _problems(attribute)


def read(content: bytes, bundle: Bundle) -> Vectors:
    """The vector of every attribute: float32 [size]; BundleError where they are not those that the manifest names."""
    where = f"{bundle.name}/{bundle.version}"
    try:
        arrays = safetensors.load(content)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:  # KeyError: a type that numpy has not
        raise refusal(where, Problem("A3", ATTRIBUTES, "is not a safetensors file of numpy types")) from error
    refuse(where, _vector_problems(arrays, bundle))
    return MappingProxyType({attribute.name: arrays[attribute.name] for attribute in bundle.attributes})


def _problems(attribute: Attribute) -> Iterator[Problem]:
    where = f"attributes: {attribute.name!r}"
    if not NAME.fullmatch(attribute.name):
        yield Problem("A2", where, f"must match {NAME.pattern}")
    if not 0.0 < attribute.strength <= STRENGTH:
        yield Problem("A2", where, f"has the strength {attribute.strength:g}; it is above 0 and at most {STRENGTH:g}")
    for metric in attribute.metrics:
        if not (metric.name and math.isfinite(metric.value) and math.isfinite(metric.baseline)):
            yield Problem("M7", f"{where}: metrics: {metric.name!r}", "needs a name, and finite numbers")


def _vector_problems(arrays: Mapping[str, NDArray[np.generic]], bundle: Bundle) -> Iterator[Problem]:
    wanted = {attribute.name for attribute in bundle.attributes}
    for key in sorted(wanted ^ arrays.keys()):
        state = "is missing" if key in wanted else "belongs to no attribute of this bundle"
        yield Problem("A3", f"{ATTRIBUTES}: {key!r}", state)
    for key in sorted(wanted & arrays.keys()):
        values = arrays[key]
        if values.dtype != np.float32 or values.shape != (bundle.latent.size,):
            text = f"is {values.dtype} {list(values.shape)}; it is float32 [{bundle.latent.size}], the latent size"
            yield Problem("A3", f"{ATTRIBUTES}: {key!r}", text)
        elif not (np.abs(values) <= VALUE).all():
            yield Problem("A3", f"{ATTRIBUTES}: {key!r}", f"has values that are not finite or beyond ±{VALUE:g}")
