"""The family headlines-critic learns two classes, becomes a bundle, and its kind of judge judges."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from exporter.test_export_pictures import assert_batch_invariant, exported, names, order_in
from exporter.test_prose import corpus_of
from rhapsode.v1.bundle_pb2 import ModelKind
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.data.lines import LONGEST, UNKNOWN, as_tokens, lines_of, tokens_of
from rhapsode_exporter.errors import DataUnavailableError
from rhapsode_exporter.families import headlines_critic
from rhapsode_exporter.families.headlines_critic import HeadlinesCritic
from rhapsode_exporter.judge.headlines import figures, teach_judge
from rhapsode_exporter.networks.text_classifier import GramCritic, GramShape, gram_buckets
from support.server import load

CLASSES = {"clickbait": "\x0e", "news": "\x0f"}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Six hundred lines of shared words, in which clickbait counts and news report; a third of each is clickbait."""
    dice = random.Random(5)
    shared = ("heart", "sleep", "diet", "study", "doctors", "food")
    own = {"\x0e": ("ways", "you", "tricks"), "\x0f": ("says", "trial", "ministers")}
    lines = {
        prefix + " ".join(dice.choice(shared + own[prefix]) for _ in range(9)) + "\n"
        for prefix in dice.choices("\x0e\x0f", (1, 2), k=600)
    }
    ordered = sorted(lines, key=lambda line: line[1:])
    kinds = corpus_of(*ordered, documents=True, classes=CLASSES)
    return replace(
        kinds, training=tuple(ordered[200:]), validation=tuple(ordered[:100]), held_out=tuple(ordered[100:200])
    )


def test_n_grams_are_of_the_text_alone() -> None:
    shape = GramShape(vocabulary=3, longest=6, orders=(2, 3), buckets=10_007)
    tokens = torch.tensor([[0, 1, 0, 1, 2, 2], [0, 1, 0, 1, 0, 0], [0, 1, 2, 2, 1, 0]])
    buckets = gram_buckets(shape, tokens, torch.tensor([4, 4, 0]))
    assert torch.equal(buckets[0], buckets[1])
    found = [[int(bucket) for bucket in row if bucket < shape.buckets] for row in buckets]
    assert [len(row) for row in found] == [5 + 4, 9, 1]
    assert len(set(found[0])) == 4 + 4  # the text abab has "ab" twice


def test_a_text_is_judged_alike_whatever_fills_it_up() -> None:
    torch.manual_seed(1)
    critic = GramCritic(GramShape(vocabulary=20, longest=30)).eval()
    torch.nn.init.normal_(critic.weight.weight[:-1])
    tokens, length = torch.randint(20, (5, 30)), torch.tensor([0, 1, 7, 29, 30])
    other = torch.where(torch.arange(30) < length[:, None], tokens, 19 - tokens)
    with torch.no_grad():
        assert torch.equal(critic(tokens, length), critic(other, length))


def test_headlines_become_a_critic(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headlines_critic, "load_headlines", lambda _: corpus)
    monkeypatch.setattr(headlines_critic, "QUICK_STEPS", 60)
    bundle, folder = exported(HeadlinesCritic(), order_in(tmp_path), tmp_path / "models")
    assert bundle.kind == ModelKind.MODEL_KIND_CRITIC
    assert names(bundle) == {"critic.onnx": (["tokens", "length"], ["class_logits"])}
    assert list(bundle.classes) == ["clickbait", "news"]
    assert not bundle.HasField("image")
    vocabulary = bundle.sequence.vocabulary
    assert bundle.sequence.longest_prompt == LONGEST
    assert vocabulary.tokens[vocabulary.unknown_token] == UNKNOWN
    assert not {"\n", "\x0e", "\x0f"} & set(vocabulary.tokens)
    assert bundle.metrics[0].name == "held_out_balanced_accuracy_share"
    assert min(bundle.metrics[0].value, bundle.metrics[0].baseline) > 0.8
    assert (folder / "critic.onnx").stat().st_size < 500_000
    assert_batch_invariant(bundle, folder)
    assert load(tmp_path / "models").models.find(bundle.name).bundle.name == bundle.name


def test_other_data_have_no_classes(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError, match="with their classes"):
        HeadlinesCritic().train(replace(order_in(tmp_path), data=tmp_path))


def test_lines_have_no_class_or_end_in_them(corpus: Corpus) -> None:
    vocabulary = tokens_of(corpus)
    lines = lines_of(["\x0fdiet\n"], corpus)
    assert "".join(vocabulary[token] for token in lines.tokens[0, : lines.length[0]]) == "diet"
    assert lines.labels.tolist() == [1]
    tokens, length = as_tokens(["é" * 130, ""], vocabulary)
    assert length.tolist() == [LONGEST, 0]
    assert set(tokens[0].tolist()) == {len(vocabulary) - 1}


def test_the_judge_tells_generated_lines_apart(corpus: Corpus) -> None:
    judge = teach_judge(corpus)
    assert min(judge.right) > 0.8
    copy = next(line for line in corpus.training if line.startswith("\x0e"))
    generated = {
        "clickbait": ["\x0eways you tricks food ways you\n", "tricks diet tricks sleep you", copy],
        "news": ["ministers says trial heart trial", "you ways you tricks ways"],
    }
    clickbait, news = figures(generated, corpus)
    assert (clickbait.name, clickbait.value, clickbait.baseline) == ("clickbait_named_so_share", 1.0, judge.right[0])
    assert "share of 2 lines" in clickbait.description
    assert "(1 copies of training lines left out)" in clickbait.description
    assert (news.name, news.value) == ("news_named_so_share", 0.5)
