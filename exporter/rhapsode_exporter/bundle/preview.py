"""A taste of a bundle's model for people, made with its own graphs."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from tokenizers.decoders import ByteLevel

from rhapsode.v1.bundle_pb2 import Bundle, GraphRole
from rhapsode_exporter.bundle.draft import Preview
from rhapsode_exporter.bundle.goldens import Golden
from rhapsode_exporter.judge.step_model import StepModel, write_passage
from rhapsode_exporter.run.sheets import png_sheet

PASSAGE_LENGTH = 600
PASSAGE_TEMPERATURE = 0.8


def previews(manifest: Bundle, folder: Path, goldens: Mapping[GraphRole.ValueType, Golden]) -> Iterator[Preview]:
    """A passage for a step graph in `folder`, the golden pictures on a sheet for a decode graph."""
    for graph in manifest.graphs:
        golden = goldens[graph.role]
        if graph.role == GraphRole.GRAPH_ROLE_STEP:
            model = StepModel(folder / graph.file, graph, golden)
            vocabulary = manifest.sequence.vocabulary
            text = write_passage(model, vocabulary, PASSAGE_LENGTH, PASSAGE_TEMPERATURE)
            yield Preview("preview.txt", (ByteLevel().decode([text]) if vocabulary.byte_level else text).encode())
        if graph.role == GraphRole.GRAPH_ROLE_DECODE:
            image = manifest.image
            yield Preview("preview.png", png_sheet(torch.from_numpy(golden.outputs["image"]), image.low, image.high))
