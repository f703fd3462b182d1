"""A bundle is what lies in its folder: nothing in it leads outside, and what was checked is what is loaded."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from rhapsode_server.errors import BundleError
from rhapsode_server.models.decoder import ImageRow
from rhapsode_server.models.latents import Draw
from rhapsode_server.repository import bundle as bundles
from rhapsode_server.repository import loading
from rhapsode_server.repository.stepping import Batching
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from rhapsode_server.runtime.session import Session
from support.breaking import check_line, edit, edit_graph, refusal, write
from support.bundles import grey_generator
from support.hostile_graphs import Change, outside, small, weight

FILE = "decode.onnx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return grey_generator().write(tmp_path / "models")


HIDDEN: dict[str, Change] = {
    "a weight": weight(outside("weights.bin")),
    "the attribute of a node": lambda model: model.graph.node[0].attribute.append(
        onnx.AttributeProto(name="value", t=outside("../../other/1/decode.onnx"), type=onnx.AttributeProto.TENSOR)
    ),
    "a list in an attribute": lambda model: model.graph.node[0].attribute.append(
        onnx.AttributeProto(name="values", tensors=[outside("/etc/passwd")], type=onnx.AttributeProto.TENSORS)
    ),
    "an attribute of another type than it says": lambda model: model.graph.node[0].attribute.append(
        onnx.AttributeProto(name="value", t=outside("/etc/passwd"), type=onnx.AttributeProto.INT)
    ),
    "a body without nodes or outputs": lambda model: model.graph.node[0].attribute.append(
        onnx.AttributeProto(name="body", g=onnx.GraphProto(initializer=[outside("a\0b")]))
    ),
    "the values of a sparse weight": lambda model: model.graph.sparse_initializer.append(
        onnx.SparseTensorProto(values=outside("x"), indices=small(), dims=[1])
    ),
    "the indices of a sparse attribute": lambda model: model.graph.node[0].attribute.append(
        onnx.AttributeProto(name="sparse_value", sparse_tensor=onnx.SparseTensorProto(indices=outside("x")))
    ),
    "the process's own memory": weight(outside("*/_ORT_MEM_ADDR_/*")),
    "the initialization of a training": lambda model: model.training_info.append(
        onnx.TrainingInfoProto(initialization=onnx.GraphProto(initializer=[outside("x")]))
    ),
}


@pytest.mark.parametrize("change", HIDDEN.values(), ids=HIDDEN)
def test_no_tensor_lies_outside_wherever_it_hides(folder: Path, change: Change) -> None:
    edit_graph(folder, FILE, change)
    check_line(refusal(folder), folder, "G2", "outside" if "training" not in refusal(folder) else "training")


def test_a_location_that_is_only_half_said_is_outside_too(folder: Path) -> None:
    """data_location without external_data, and the other way round."""
    half = outside("x")
    half.ClearField("data_location")
    edit_graph(folder, FILE, weight(half))
    check_line(refusal(folder), folder, "G2", "'outside'")


class Swapping(Runtime):
    """Loads sessions as ever, but all files are others by then."""

    def __init__(self, folder: Path) -> None:
        super().__init__(RuntimeOptions(provider="cpu"))
        self.folder = folder

    def session(self, graph: bytes) -> Session:
        for path in self.folder.iterdir():
            path.write_bytes(b"another file by now")
        return super().session(graph)


def picture(model: loading.LoadedModel) -> bytes:
    assert model.decoder is not None
    (outcome,) = model.decoder.advance([ImageRow(0, Draw(1, 0))])
    return bytes(outcome.events[0].values.tobytes())


def test_the_bytes_that_were_hashed_are_the_bytes_that_are_loaded(folder: Path) -> None:
    honest = loading.load(folder, Runtime(RuntimeOptions(provider="cpu")), Batching())
    swapped = loading.load(folder, Swapping(folder), Batching())
    assert (swapped.digest, swapped.fingerprint) == (honest.digest, honest.fingerprint)
    assert picture(swapped) == picture(honest)
    with pytest.raises(BundleError, match=r"\(docs/bundle.md, M1\)"):
        bundles.read(folder)


def test_a_file_of_two_formats_is_loaded_as_the_one_that_was_checked(folder: Path) -> None:
    """ONNX Runtime takes bytes with ORTM at their fifth for its own format, which nothing here has checked."""
    content = (folder / FILE).read_bytes()
    both = b"\x12\x06abORTM" + content  # ModelProto.producer_name, which a later one overwrites
    assert both[4:8] == b"ORTM"
    model = onnx.load_model_from_string(both)
    assert model.graph.node
    write(folder, FILE, both)
    assert picture(loading.load(folder, Runtime(RuntimeOptions(provider="cpu")), Batching()))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "secret").write_text("secret", encoding="utf-8")
    yield other
    assert (other / "secret").read_text(encoding="utf-8") == "secret"
    assert len(list(other.iterdir())) == 1


TRAVERSALS = [
    "../elsewhere/secret",
    "../../../elsewhere/secret",
    "a/../secret",
    "card.md/..",
    " ..",
    "..",
    ".",
    "./card.md",
    "/etc/passwd",
    "~/secret",
    "card.md\0.onnx",
    "card\n.md",
    "card.md ",
    "CON:",
    "\\\\host\\share",
    "%2e%2e%2fsecret",
    "file:///etc/passwd",
    "https://example.org/model.onnx",
    "\u202egnp.exe",
    "",
    "x" * 200,
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_name_leads_out_of_the_folder(folder: Path, elsewhere: Path, path: str) -> None:
    edit(folder, lambda bundle: bundle.files.add(path=path, size=6, sha256="0" * 64))
    check_line(refusal(folder), folder, "F1", "is not a plain file name")


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_graph_lies_elsewhere(folder: Path, elsewhere: Path, path: str) -> None:
    edit(folder, lambda bundle: setattr(bundle.graphs[0], "file", path))
    check_line(refusal(folder), folder, "M4", "has the file")


@pytest.mark.parametrize("target", ["elsewhere/secret", "models/tiny-digits/1/card.md"])
def test_no_link_is_followed(tmp_path: Path, folder: Path, elsewhere: Path, target: str) -> None:
    (folder / "linked.md").symlink_to(tmp_path / target)
    check_line(refusal(folder), folder, "F3", "is a link")


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    (folder / "card.md").unlink()
    os.mkfifo(folder / "card.md")
    check_line(refusal(folder), folder, "F3", "not a plain file")


def test_a_bundle_under_a_linked_name_is_refused(tmp_path: Path, folder: Path) -> None:
    shutil.copytree(folder.parent, tmp_path / "real")
    link = tmp_path / "models" / "linked"
    link.symlink_to(tmp_path / "real")
    check_line(refusal(link / "1"), link / "1", "F3", "is a link")


NASTY_TEXTS = ["\0", "a\nbundle tiny-digits/1: all is well", "\x1b[31m", "\ud800", "[" * 5000, "9" * 5000]


@pytest.mark.parametrize("text", NASTY_TEXTS, ids=range(len(NASTY_TEXTS)))
@pytest.mark.parametrize("shape", ['"{}"', "[{}", '{{"{}": 1}}', '{{"name": "{}"}}', '{{"version": {}}}'])
def test_a_manifest_of_anything_is_a_refusal(folder: Path, text: str, shape: str) -> None:
    content = shape.format(text).encode("utf-8", "surrogatepass")
    (folder / "bundle.json").write_bytes(content)
    lines = refusal(folder).splitlines()
    assert all(line.startswith("bundle tiny-digits/1: ") and line.isprintable() for line in lines)
    assert all(len(line) < 500 for line in lines)


@pytest.mark.parametrize("name", [b"latent", b"image", b"Tanh", b"batch", b"expand", b"folded"])
def test_a_name_that_is_no_text_is_a_refusal(folder: Path, name: bytes) -> None:
    """The parser gives bytes for it, which are like no name and sort beside none."""
    content = (folder / FILE).read_bytes()
    assert name in content
    write(folder, FILE, content.replace(name, b"\xff\xd5" + name[2:]))
    check_line(refusal(folder), folder, "G1", "not UTF-8")
