"""Every rule that docs/bundle.md gives for classes of sequences and critics of texts is broken here."""

from pathlib import Path

import numpy as np
import pytest
from safetensors import numpy as safetensors

from rhapsode.v1.bundle_pb2 import Bundle, ImageSpec, SequenceClass
from support import graphs
from support.breaking import Break, check_line, refusal, said, write
from support.bundles import CRITIC
from support.server import load
from support.text_bundles import headlines, text_critic


def classes(*given: SequenceClass) -> Break:
    """The classes are these."""

    def change(bundle: Bundle) -> None:
        del bundle.sequence.classes[:]
        bundle.sequence.classes.extend(given)

    return said(change)


def named(name: str = "a", *prefix: int) -> SequenceClass:
    return SequenceClass(name=name, prefix_token_ids=prefix)


def golden(name: str, place: int, value: int) -> Break:
    """A number of a golden is this."""

    def change(folder: Path) -> None:
        tensors = safetensors.load((folder / "goldens.safetensors").read_bytes())
        tensors[f"critic.inputs.{name}"].flat[place] = value
        write(folder, "goldens.safetensors", safetensors.save(tensors))

    return change


CLASSES: list[tuple[str, str, Break]] = [
    ("M10", "sequence.classes: has 1025 entries", classes(*(named(str(i), 1) for i in range(1025)))),
    ("M10", "sequence.classes: has a name twice", classes(named("a", 1), named("a", 2))),
    ("M10", "sequence.classes[1].name: is empty", classes(named("a", 1), named("", 2))),
    ("M10", "sequence.classes[0].name: is empty or longer than 256", classes(named("é" * 129, 1))),
    ("M10", "sequence.classes[0].prefix_token_ids: has 0 tokens", classes(named("a"))),
    ("M10", "prefix_token_ids: has 65 tokens, not 1 to 64", classes(named("a", *[1] * 65))),
    ("M10", "prefix_token_ids: has 30, the vocabulary has 30", classes(named("a", 1, 30))),
    ("M10", "has 3 tokens, not 1 to 2", said(lambda b: setattr(b.sequence, "longest_prompt", 2))),
]
CRITICS: list[tuple[str, str, Break]] = [
    ("M5", "image: stands exactly where", said(lambda b: b.ClearField("sequence"))),
    ("M5", "image: stands exactly where", said(lambda b: b.image.CopyFrom(ImageSpec(height=1, width=1, channels=1)))),
    ("M6", "sequence.vocabulary: has no tokens", said(lambda b: b.sequence.ClearField("vocabulary"))),
    ("M11", "classes: has 1 entries", said(lambda b: b.classes.__delitem__(slice(1, None)))),
    ("M11", "sequence.longest_prompt: must be in [1, 65536]", said(lambda b: b.sequence.ClearField("longest_prompt"))),
    ("M11", "sequence.longest_prompt", said(lambda b: setattr(b.sequence, "longest_prompt", 65_537))),
    ("M11", "sequence.classes: must be empty", classes(named("a", 1))),
    ("G5", "tensor 'tokens'", said(lambda b: setattr(b.sequence, "longest_prompt", 13))),
    ("G5", "tensor 'class_logits'", said(lambda b: b.classes.append("prose"))),
    ("V1", "'critic.inputs.tokens': has numbers outside [0, 30)", golden("tokens", 0, 30)),
    ("V1", "'critic.inputs.tokens': has numbers outside", golden("tokens", 0, -1)),
    ("V1", "'critic.inputs.length': has numbers outside [1, 13)", golden("length", 5, 0)),
    ("V1", "'critic.inputs.length': has numbers outside", golden("length", 5, 13)),
]


@pytest.mark.parametrize(("rule", "told", "change"), CLASSES, ids=lambda value: str(value)[:30])
def test_broken_classes_of_sequences_are_refused(tmp_path: Path, rule: str, told: str, change: Break) -> None:
    folder = headlines().write(tmp_path)
    change(folder)
    check_line(refusal(folder), folder, rule, told)


@pytest.mark.parametrize(("rule", "told", "change"), CRITICS, ids=lambda value: str(value)[:30])
def test_a_broken_critic_of_texts_is_refused(tmp_path: Path, rule: str, told: str, change: Break) -> None:
    folder = text_critic().write(tmp_path)
    change(folder)
    check_line(refusal(folder), folder, rule, told)


def test_a_sound_critic_is_verified_heard_and_loaded(tmp_path: Path) -> None:
    text_critic().write(tmp_path)
    text_critic("other-names", classes=("a", "b", "c")).write(tmp_path)
    text_critic("other-weights", seed=3).write(tmp_path)
    models = {model.name: model for model in load(tmp_path).models.models}
    assert all(model.batch_invariant and model.critic is None and model.text_critic for model in models.values())
    assert len({model.fingerprint for model in models.values()}) == 3


def test_the_goldens_have_texts_of_every_length() -> None:
    draft = text_critic()
    fed = graphs.texts(range(30), 33, 12)
    assert (fed["length"].min(), fed["length"].max()) == (1, 12)
    assert not fed["tokens"][np.arange(12) >= fed["length"][:, None]].any()
    assert [spec.name for spec in draft.graph(CRITIC).inputs] == ["tokens", "length"]
