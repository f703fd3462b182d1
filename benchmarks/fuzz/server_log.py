"""What a server has logged that it should not have, whatever it was sent."""

import json
from collections.abc import Iterator, Sequence

PREFIX = "fuzz-"  # of the ids of fuzzed requests
LONGEST = 2000  # characters of a line that tells of no failure
_ALLOWED = ("NON_FINITE_OUTPUT",)  # the model's failure, which is reported as such


def failures(lines: Sequence[str]) -> Iterator[str]:
    """Lines that are no JSON, that are too long, or that tell of a failure."""
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            yield f"a line that is no JSON: {line[:LONGEST]}"
            continue
        if said.get("level") in ("error", "critical") and said.get("reason") not in _ALLOWED:
            yield f"the server logged {line[:LONGEST]}"
        elif len(line) > LONGEST and "exception" not in said:
            yield f"a line that is too long: {line[:LONGEST]}"


def secrets_told(lines: Sequence[str], secrets: Sequence[str]) -> Iterator[str]:
    """Lines that tell what nobody but its owner may know."""
    for line in lines:
        if any(secret in line for secret in secrets):
            yield f"the server logged a secret: {line[:LONGEST]}"


def refusal_milliseconds(lines: Sequence[str]) -> Sequence[float]:
    """How long fuzzed requests that were refused took inside of the server."""
    refused = ("InvalidArgument", "NotFound", "FailedPrecondition")
    told = (json.loads(line) for line in lines if f'"{PREFIX}' in line)
    return [line["duration_ms"] for line in told if line.get("msg") == "rpc" and line["grpc_code"] in refused]
