"""The parameters of a request: which are heeded, which are refused, and that all others mean nothing here."""

from collections.abc import Mapping
from dataclasses import dataclass

from rhapsode.oip.inference_pb2 import InferParameter, ModelInferRequest
from rhapsode_server.errors import InvalidField

TIMEOUT, EMPTY_FINAL = "timeout", "triton_enable_empty_final_response"
_ELSEWHERE = ("shared_memory_region", "shared_memory_byte_size", "shared_memory_offset")
_CLASSES = "classification"

Parameters = Mapping[str, InferParameter]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a request's parameters ask for."""

    timeout: float | None = None
    """Seconds."""


NONE = Wishes()


def wishes(asked: ModelInferRequest) -> Wishes:
    """Read a request's parameters. Raises InvalidField."""
    given = asked.parameters
    if not given:
        return NONE
    if EMPTY_FINAL in given and given[EMPTY_FINAL].WhichOneof("parameter_choice") != "bool_param":
        raise InvalidField(f"parameters.{EMPTY_FINAL}", "must be a bool_param")
    return Wishes(_timeout(given[TIMEOUT]) if TIMEOUT in given else None)


def check_tensor(given: Parameters, path: str) -> None:
    """Raise InvalidField where an input or output is said to lie elsewhere, or an output to be made to classes."""
    for name in (*_ELSEWHERE, _CLASSES) if given else ():
        if name in given:
            what = "there are no classes of outputs" if name == _CLASSES else "there is no shared memory"
            raise InvalidField(f"{path}.parameters.{name}", f"is not supported: {what} here")


def _timeout(given: InferParameter) -> float | None:
    """Seconds; none where it is zero, as in Triton."""
    kind = given.WhichOneof("parameter_choice")
    if kind not in ("int64_param", "uint64_param") or getattr(given, kind) < 0:
        raise InvalidField(f"parameters.{TIMEOUT}", "must be an int64_param of microseconds, not negative")
    return getattr(given, kind) / 1e6 or None
