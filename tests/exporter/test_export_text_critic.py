"""A classifier of texts in torch becomes a bundle that the server takes for a critic of texts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rhapsode.v1.bundle_pb2 import DataSet, GraphRole, ModelKind, SequenceSpec, Training, Vocabulary
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, BundleDraft, GraphDraft, Preview
from rhapsode_exporter.bundle.read import read_bundle
from rhapsode_exporter.bundle.write import write_bundle
from rhapsode_exporter.data.real import real_pictures
from rhapsode_exporter.errors import EvaluationRefusedError
from rhapsode_exporter.evaluation.critic import judges
from rhapsode_exporter.gallery.exhibits import exhibits
from rhapsode_exporter.sampling.opened import open_bundle
from rhapsode_server.models.text_critic import TextCriticRow
from support.server import load

LETTERS = tuple("\nabcdefgh")
LONGEST = 9


class Taste(nn.Module):
    """tokens [B, L], length [B] → class logits [B, 2]: the mean embedding of the tokens that count."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS), 8)
        self.to_logits = nn.Linear(8, 2)

    def forward(self, tokens: Tensor, length: Tensor) -> Tensor:
        counts = (torch.arange(LONGEST) < length[:, None]).float()  # [B, L]
        mean = (self.embedding(tokens) * counts[:, :, None]).sum(dim=1) / length[:, None]
        logits: Tensor = self.to_logits(mean)
        return logits


@pytest.fixture
def draft() -> BundleDraft:
    generator = torch.Generator().manual_seed(5)
    length = torch.arange(GOLDEN_ROWS) % LONGEST + 1
    tokens = torch.randint(len(LETTERS), (GOLDEN_ROWS, LONGEST), generator=generator)
    tokens[torch.arange(LONGEST) >= length[:, None]] = 0
    torch.manual_seed(5)
    return BundleDraft(
        name="taste",
        kind=ModelKind.MODEL_KIND_CRITIC,
        description="Tells two kinds of text apart.",
        licence="CC0-1.0",
        graphs=(
            GraphDraft(GraphRole.GRAPH_ROLE_CRITIC, Taste(), {"tokens": tokens, "length": length}, ("class_logits",)),
        ),
        training=Training(data=DataSet(name="none", licence="CC0-1.0", held_out="nothing")),
        metrics=(),
        preview=Preview("preview.txt", b"abc\n"),
        sequence=SequenceSpec(vocabulary=Vocabulary(tokens=LETTERS), longest_prompt=LONGEST),
        classes=("news", "bait"),
    )


def test_it_is_written_whole_and_served(draft: BundleDraft, tmp_path: Path) -> None:
    folder = write_bundle(draft, tmp_path, 1)
    stored = read_bundle(folder)
    assert [(spec.name, len(spec.shape)) for spec in stored.manifest.graphs[0].inputs] == [("tokens", 2), ("length", 1)]
    assert "`critic.onnx`" in (folder / "card.md").read_text(encoding="utf-8")
    critic = load(tmp_path).models.find("taste").text_critic
    assert critic is not None
    (outcome,) = critic.advance([TextCriticRow((1, 2, 3))])
    padded = torch.tensor([[1, 2, 3, *[0] * (LONGEST - 3)]])
    with torch.no_grad():
        expected = draft.graphs[0].network(padded, torch.tensor([3])).softmax(dim=1)[0].numpy()
    np.testing.assert_allclose(outcome.events[0], expected, atol=1e-5)


def test_it_has_no_figure_of_pictures_and_is_shown_by_its_passage(draft: BundleDraft, tmp_path: Path) -> None:
    opened = open_bundle(write_bundle(draft, tmp_path / "models", 1))
    assert not judges(opened)
    with pytest.raises(EvaluationRefusedError, match="no pictures"):
        real_pictures(opened.manifest, tmp_path, None)
    (shown,) = exhibits(tmp_path / "models", tmp_path)
    assert (bool(shown.passage), shown.picture, shown.reason) == (True, "", "")
