"""How a bundle's latents become codes: what it must say of that, and the table of frequencies beside it."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_server.models.codec import MARK_BYTES, TOTAL, Codec
from rhapsode_server.repository import limits
from rhapsode_server.repository.problems import Problem, refusal, refuse
from rhapsode_server.repository.schema import CODE, DECODE, ENCODE

FREQUENCIES = "frequencies"


def check(bundle: Bundle) -> Iterator[Problem]:
    """Every broken rule of `code` in the manifest."""
    if not bundle.HasField("code"):
        return
    if not {DECODE, ENCODE} <= {graph.role for graph in bundle.graphs} or bundle.classes:
        yield Problem("C1", "code", "needs an encode and a decode graph, and no classes")
    if not 0.0 < bundle.code.step < math.inf:
        yield Problem("C1", "code.step", "must be finite and above 0")
    if not 1 <= bundle.code.reach <= limits.CODE_REACH:
        yield Problem("C1", "code.reach", f"must be in [1, {limits.CODE_REACH}]")
    if bundle.latent.size * _values(bundle) > limits.CODE_NUMBERS:
        yield Problem("C1", "code", f"asks for more than {limits.CODE_NUMBERS} frequencies")
    if all(file.path != CODE for file in bundle.files):
        yield Problem("C2", CODE, "is not listed in files")


def read(content: bytes, bundle: Bundle) -> NDArray[np.int32]:
    """The frequencies int32 [size, 2 reach + 1]; BundleError where the file does not hold just these."""
    where = f"{bundle.name}/{bundle.version}"
    try:
        arrays = safetensors.load(content)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:  # KeyError: a type that numpy has not
        raise refusal(where, Problem("C2", CODE, "is not a safetensors file of numpy types")) from error
    refuse(where, _problems(arrays, bundle))
    return arrays[FREQUENCIES]


def codec(bundle: Bundle, frequencies: NDArray[np.int32]) -> Codec:
    """The codec of a bundle. Its mark is bound to all that decides which picture a code becomes, and to nothing else:

    figures and descriptions of a bundle may be written anew without making its payloads unreadable.
    """
    hashes = {file.path: file.sha256 for file in bundle.files}
    decode = next(graph.file for graph in bundle.graphs if graph.role == DECODE)
    said = (hashes[decode], hashes[CODE], bundle.code.step, bundle.code.reach, bundle.image.low, bundle.image.high)
    mark = hashlib.sha256("\n".join(map(str, said)).encode()).digest()[:MARK_BYTES]
    return Codec(bundle.code.step, frequencies, mark)


def _problems(arrays: Mapping[str, NDArray[Any]], bundle: Bundle) -> Iterator[Problem]:
    if arrays.keys() != {FREQUENCIES}:
        yield Problem("C2", CODE, f"holds {sorted(arrays)}; it is {FREQUENCIES!r} alone")
        return
    table, shape = arrays[FREQUENCIES], (bundle.latent.size, _values(bundle))
    if table.dtype != np.int32 or table.shape != shape:
        yield Problem("C2", CODE, f"is {table.dtype} {list(table.shape)}; it is int32 {list(shape)}")
    elif (table < 1).any() or (table.sum(axis=1, dtype=np.int64) != TOTAL).any():
        yield Problem("C3", CODE, f"each frequency is at least 1, and each row sums to {TOTAL}")


def _values(bundle: Bundle) -> int:
    return 2 * bundle.code.reach + 1
