"""A trained network's bundle: exported, proved and written."""

from pathlib import Path

from safetensors.numpy import save

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_exporter.bundle.attributes import described, write_attributes
from rhapsode_exporter.bundle.card import FILE as CARD
from rhapsode_exporter.bundle.card import render_card
from rhapsode_exporter.bundle.draft import BundleDraft
from rhapsode_exporter.bundle.export import export_graph
from rhapsode_exporter.bundle.goldens import Golden, write_goldens
from rhapsode_exporter.bundle.onnx_runtime import version as onnx_runtime_version
from rhapsode_exporter.bundle.parity import prove
from rhapsode_exporter.bundle.whole import seal, whole
from rhapsode_exporter.errors import BundleExistsError

SCHEMA_VERSION = 1
CODE = "code.safetensors"
TOKENIZER = "tokenizer.json"


def bundle_folder(out: Path, name: str, version: int) -> Path:
    """Where a bundle of this name and version lies below `out`."""
    return out / name / str(version)


def refuse_existing(folder: Path, overwrite: bool) -> None:
    """Raise BundleExistsError where the folder is there and may not be replaced."""
    if folder.exists() and not overwrite:
        raise BundleExistsError(f"{folder} is already there; use --overwrite to replace it, or another --version")


def write_bundle(draft: BundleDraft, out: Path, version: int, *, overwrite: bool = False) -> Path:
    """Export, prove and write `out`/NAME/VERSION; where anything fails nothing of it is left behind.

    Raises BundleExistsError, ExportFailedError or ParityFailedError.
    """
    folder = bundle_folder(out, draft.name, version)
    refuse_existing(folder, overwrite)
    with whole(folder) as part:
        bundle = _describe(draft, version)
        goldens = []
        for graph in draft.graphs:
            exported = export_graph(graph, part)
            inputs = {name: tensor.numpy() for name, tensor in graph.golden_inputs.items()}
            goldens.append(Golden(graph.role, inputs, prove(graph, part / exported.file)))
            bundle.graphs.append(exported)
        write_goldens(goldens, part)
        if draft.code is not None:
            (part / CODE).write_bytes(save({"frequencies": draft.code.frequencies}))
        if draft.tokenizer is not None:
            (part / TOKENIZER).write_bytes(draft.tokenizer)
        write_attributes(draft, part)
        (part / draft.preview.filename).write_bytes(draft.preview.content)
        (part / CARD).write_text(render_card(bundle), encoding="utf-8")
        seal(bundle, part)
    return folder


def _describe(draft: BundleDraft, version: int) -> Bundle:
    """The manifest as far as the draft knows it."""
    bundle = Bundle(
        schema_version=SCHEMA_VERSION,
        name=draft.name,
        version=version,
        kind=draft.kind,
        description=draft.description,
        licence=draft.licence,
        latent=draft.latent,
        image=draft.image,
        sequence=draft.sequence,
        classes=draft.classes,
        diffusion=draft.diffusion,
        gibbs=draft.gibbs,
        training=draft.training,
        metrics=draft.metrics,
        code=draft.code.spec if draft.code else None,
        attributes=described(draft.attributes),
    )
    bundle.training.software["onnxruntime"] = onnx_runtime_version()
    return bundle
