"""What a manifest says of sequences beside their vocabulary: classes that have a prefix, texts that a critic takes."""

from collections.abc import Iterator

from rhapsode.v1 import bundle_pb2
from rhapsode.v1.bundle_pb2 import Bundle, SequenceClass, SequenceSpec
from rhapsode_server.repository import limits
from rhapsode_server.repository.problems import Problem

CLASSES = "sequence.classes"


def reads_texts(bundle: Bundle) -> bool:
    """Whether the model is a critic of texts."""
    return bundle.kind == bundle_pb2.MODEL_KIND_CRITIC and bundle.HasField("sequence")


def check(bundle: Bundle) -> Iterator[Problem]:
    """What the manifest has against the rules of classes of sequences, and of critics of texts."""
    spec = bundle.sequence
    names = [each.name for each in spec.classes]
    if len(names) > limits.SEQUENCE_CLASSES:
        yield Problem("M10", CLASSES, f"has {len(names)} entries, the most is {limits.SEQUENCE_CLASSES}")
    if len(set(names)) != len(names):
        yield Problem("M10", CLASSES, "has a name twice")
    for place, each in enumerate(spec.classes):
        yield from _class_problems(f"{CLASSES}[{place}]", each, spec)
    if reads_texts(bundle):
        yield from _critic_problems(bundle)


def _class_problems(where: str, given: SequenceClass, spec: SequenceSpec) -> Iterator[Problem]:
    if not 0 < len(given.name.encode()) <= limits.CLASS_NAME_BYTES:
        yield Problem("M10", f"{where}.name", f"is empty or longer than {limits.CLASS_NAME_BYTES} bytes")
    prefix, size = given.prefix_token_ids, len(spec.vocabulary.tokens)
    most = min(limits.PREFIX_TOKENS, spec.longest_prompt or limits.PREFIX_TOKENS)
    if not 0 < len(prefix) <= most:
        yield Problem("M10", f"{where}.prefix_token_ids", f"has {len(prefix)} tokens, not 1 to {most}")
    if any(token >= size for token in prefix):
        yield Problem("M10", f"{where}.prefix_token_ids", f"has {max(prefix)}, the vocabulary has {size} tokens")


def _critic_problems(bundle: Bundle) -> Iterator[Problem]:
    if len(bundle.classes) < 2:
        yield Problem("M11", "classes", f"has {len(bundle.classes)} entries; a critic of texts needs two or more")
    if not 1 <= bundle.sequence.longest_prompt <= limits.CRITIC_TOKENS:
        yield Problem("M11", "sequence.longest_prompt", f"must be in [1, {limits.CRITIC_TOKENS}] in a critic")
    if bundle.sequence.classes:
        yield Problem("M11", CLASSES, "must be empty: the classes of a critic are `classes`")
