"""Tiny bundles that have to do with classes of texts: a model that was taught some, critics that tell them apart."""

from collections.abc import Mapping, Sequence

from rhapsode.v1 import bundle_pb2
from support import graphs
from support.bundles import CHARACTERS, CRITIC, Draft, declare, judge, stepper

CLASSES: Mapping[str, tuple[int, ...]] = {"news": (3, 4, 5), "bait": (0,)}  # prefixes by name
LONGEST = 12


def headlines(name: str = "tiny-headlines", *, start_token: str | None = None, longest_prompt: int = 0) -> Draft:
    """A text model of 30 characters that was taught two classes, whose sequences end with a full stop."""
    draft = stepper(name, start_token=start_token, end_token=".", longest_prompt=longest_prompt, seed=11)
    for named, prefix in CLASSES.items():
        draft.bundle.sequence.classes.add(name=named, prefix_token_ids=prefix)
    return draft


def text_critic(
    name: str = "tiny-taste",
    *,
    tokens: Sequence[str] = CHARACTERS,
    unknown_token: str | None = None,
    longest: int = LONGEST,
    classes: Sequence[str] = ("news", "bait", "verse"),
    nan_token: str | None = None,
    seed: int = 9,
) -> Draft:
    """A critic of texts of at most `longest` tokens. Of a text with `nan_token` it finds NaN."""
    poison = None if nan_token is None else tokens.index(nan_token)
    vocabulary = bundle_pb2.Vocabulary(tokens=tokens)
    if unknown_token is not None:
        vocabulary.unknown_token = tokens.index(unknown_token)
    draft = judge(name, classes=classes)
    draft.bundle.ClearField("image")
    draft.bundle.sequence.CopyFrom(bundle_pb2.SequenceSpec(vocabulary=vocabulary, longest_prompt=longest))
    draft.graphs[CRITIC] = graphs.text_critic(len(tokens), longest, seed=seed, classes=len(classes), nan_token=poison)
    draft.graph(CRITIC).CopyFrom(declare(CRITIC, draft.graphs[CRITIC]))
    draft.avoid_token = poison
    return draft
