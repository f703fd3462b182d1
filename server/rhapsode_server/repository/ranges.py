"""What the integers that a graph is fed may be, by its role."""

from collections.abc import Mapping

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_server.models.tensors import Range
from rhapsode_server.repository.schema import CRITIC, DECODE, DENOISE, GIBBS, STEP
from rhapsode_server.repository.sequences import reads_texts


def ranges(bundle: Bundle, role: int) -> Mapping[str, Range]:
    """The range of each input that has one. A transform's tensors may be anything."""
    token = Range(0, len(bundle.sequence.vocabulary.tokens))
    if role == STEP:
        return {"token": token}
    if role == CRITIC and reads_texts(bundle):
        return {"tokens": token, "length": Range(1, bundle.sequence.longest_prompt + 1)}
    if role == DENOISE and bundle.classes:
        return {"class_id": Range(0, len(bundle.classes) + 1)}  # the last one is no class
    return {"class_id": Range(0, len(bundle.classes))} if role in (DECODE, GIBBS) and bundle.classes else {}
