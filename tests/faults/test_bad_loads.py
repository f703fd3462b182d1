"""A bundle that lies, or would hurt, is refused while others are served: whoever serves does not notice."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import grpc
import psutil
import pytest
from benchmarks.cost import resident_bytes

from rhapsode.v1 import bundle_pb2, image_pb2, model_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode_server.repository.in_child import Bounds
from rhapsode_server.serve.model_loader import Loader
from support.breaking import Break, edit_graph, said, write
from support.bundles import grey_generator
from support.hostile_graphs import node, outside, weight, whole
from support.refusals import refusal
from support.server import load, process, running

if TYPE_CHECKING:
    from rhapsode.v1.model_pb2_grpc import ModelServiceAsyncStub

NAME, FILE = "tiny-digits", "decode.onnx"
WAIT = 60.0
GROWTH = 16 * 2**20  # bytes that all these refusals together may leave with the allocator
PICTURES = image_pb2.GenerateImagesRequest(
    generation=image_pb2.ImageGeneration(model=NAME, seed=5, count=3, format=image_pb2.IMAGE_FORMAT_RAW_FLOAT32)
)


@dataclass(frozen=True)
class Stage:
    """A server, the folder that it loads from, and what it answered at first."""

    pid: int
    models: Path
    control: ModelServiceStub
    images: ImageServiceStub
    pictures: image_pb2.GenerateImagesResponse
    memory: int
    """Bytes that were resident then."""

    def refused(self, model: str) -> grpc.RpcError:
        """Load in vain; what was served is served on, byte for byte."""
        with pytest.raises(grpc.RpcError) as caught:
            self.control.LoadModel(model_pb2.LoadModelRequest(model=model), timeout=WAIT)
        assert self.images.GenerateImages(PICTURES, timeout=WAIT) == self.pictures
        return caught.value


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("living")
    models, admin = folder / "models", f"unix:{folder}/admin"
    grey_generator().write(models)
    (folder / "elsewhere").write_text("secret", encoding="utf-8")
    with process(models, "--admin-address", admin) as server, grpc.insecure_channel(admin) as controlled:
        with grpc.insecure_channel(server.address) as served:
            images = ImageServiceStub(served)
            pictures = images.GenerateImages(PICTURES, timeout=WAIT)
            pid = server.process.pid
            yield Stage(pid, models, ModelServiceStub(controlled), images, pictures, resident_bytes(pid))
        assert server.stop() == 0


def another(models: Path, version: int) -> Path:
    """A sound version with other weights."""
    return grey_generator(version=version, seed=11).write(models)


def graph(content: bytes) -> Break:
    return lambda folder: write(folder, FILE, content)


def shape(bundle: bundle_pb2.Bundle) -> None:
    bundle.graphs[0].outputs[0].shape[1].size += 1


def role(bundle: bundle_pb2.Bundle) -> None:
    bundle.graphs[0].role = bundle_pb2.GRAPH_ROLE_ENCODE


def link(folder: Path) -> None:
    (folder / "card.md").unlink()
    (folder / "card.md").symlink_to(folder.parents[2] / "elsewhere")


def linked(folder: Path) -> None:
    """The folder of the version lies elsewhere."""
    real = folder.parents[2] / "real"
    shutil.rmtree(real, ignore_errors=True)
    folder.rename(real)
    folder.symlink_to(real)


def words_of(error: grpc.RpcError) -> str:
    """What the status says to people."""
    return str(cast("grpc.Call", error).details())


CASES: dict[str, tuple[Break, str, str]] = {
    "a hash that is a lie": (lambda folder: (folder / FILE).write_bytes(b"another file"), "F5", FILE),
    "a shape that is a lie": (said(shape), "G5", "the role asks for"),
    "a role that is a lie": (said(role), "M3", "has no decode graph"),
    "a file that is missing": (lambda folder: (folder / FILE).unlink(), "F4", "is listed, but missing"),
    "a file that is not listed": (lambda folder: (folder / "more.bin").write_bytes(b"x"), "F4", "more.bin"),
    "external data": (lambda folder: edit_graph(folder, FILE, weight(outside("../../elsewhere"))), "G2", "outside"),
    "a link in the bundle": (link, "F3", "is a link"),
    "a link to a bundle": (linked, "F3", "is a link"),
    "a truncated graph": (lambda folder: write(folder, FILE, (folder / FILE).read_bytes()[:-100]), "G1", FILE),
    "an empty graph": (graph(b""), "G1", FILE),
    "a graph of noise": (graph(bytes(range(256)) * 64), "G1", FILE),
    "a hundred bytes that ask for terabytes": (
        lambda folder: edit_graph(folder, FILE, node("ConstantOfShape", ["sizes"], whole("sizes", 2**40))),
        "G10",
        "for one row",
    ),
    "an operator of nobody's": (
        lambda folder: edit_graph(folder, FILE, node("PyOp", ["latent"], domain="pyop")),
        "G3",
        "pyop",
    ),
    "no manifest": (lambda folder: (folder / "bundle.json").unlink(), "F2", "bundle.json"),
}


@pytest.mark.parametrize(("spoil", "rule", "words"), CASES.values(), ids=CASES)
def test_what_lies_is_refused_and_the_old_is_served(stage: Stage, spoil: Break, rule: str, words: str) -> None:
    folder = another(stage.models, 2)
    spoil(folder)
    try:
        error = stage.refused(f"{NAME}@2")
    finally:
        folder.unlink() if folder.is_symlink() else shutil.rmtree(folder)
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal(error).info.reason == "LOAD_FAILED"
    said = words_of(error)
    assert f"docs/bundle.md, {rule})" in said
    assert words in said
    assert str(stage.models) not in said


def test_a_version_that_is_served_and_lies_now_is_served_on_as_it_was(stage: Stage) -> None:
    folder = stage.models / NAME / "1"
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(b"another file")
    try:
        error = stage.refused(NAME)
    finally:
        (folder / FILE).write_bytes(content)
    assert refusal(error).info.reason == "LOAD_FAILED"


NO_NAMES = [
    *("../elsewhere", "tiny-digits/1", "tiny-digits@1/../..", "/etc/passwd", ".", "..", "file:///etc/passwd"),
    *("tiny\0digits", "tiny-digits\n", "\x1b[31m", "\u202esgnp", "Tiny", ""),
    *(
        "tiny-digits@",
        "tiny-digits@0",
        "tiny-digits@01",
        "tiny-digits@-1",
        "tiny-digits@stable",
        "tiny-digits@" + "9" * 10,
    ),
    *("x" * 65, "x" * 1_000_000),
]


def test_what_is_no_name_is_told_so(stage: Stage) -> None:
    for name in NO_NAMES:
        error = stage.refused(name)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, name
        assert refusal(error).fields == ["model"]
        assert len(words_of(error)) < 1000


@pytest.mark.parametrize("model", ["tiny-digits@3", "another"])
def test_what_is_not_there_is_told_so(stage: Stage, model: str) -> None:
    error = stage.refused(model)
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert refusal(error).info.reason == "MODEL_NOT_FOUND"


# What a child does whom one version crashes, and another one keeps for ever.
HOSTILE = """
import os, signal, sys, time
said = sys.stdin.read()
if "tiny-digits/2" in said:
    os.kill(os.getpid(), signal.SIGSEGV)
time.sleep(600)
"""


async def test_what_ends_or_stops_its_loader_does_so_to_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, admin = tmp_path / "models", f"unix:{tmp_path}/admin"
    grey_generator().write(models)
    first = load(models)
    for version in (2, 3):
        another(models, version)
    hostile = partial(Loader, bounds=Bounds(seconds=1.0), program=("-c", HOSTILE))
    monkeypatch.setattr("rhapsode_server.serve.loading.Loader", hostile)
    async with (
        running(first, models=str(models), admin_address=admin) as server,
        grpc.aio.insecure_channel(admin) as channel,
    ):
        before = await server.image.GenerateImages(PICTURES)
        told = [await failure(ModelServiceStub(channel), f"{NAME}@{version}") for version in (2, 3)]
        assert await server.image.GenerateImages(PICTURES) == before
        page = await server.page()
    assert "ends the process that loads it, with SIGSEGV" in told[0]
    assert "takes longer than 1 s" in told[1]
    for reason in ("crashed", "timed_out"):
        assert f'rhapsode_model_load_failures_total{{reason="{reason}"}} 1.0' in page


async def failure(control: "ModelServiceAsyncStub", model: str) -> str:
    """What is said of a load that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        await control.LoadModel(model_pb2.LoadModelRequest(model=model))
    assert refusal(caught.value).info.reason == "LOAD_FAILED"
    return words_of(caught.value)


def test_the_server_has_borne_it_all(stage: Stage) -> None:
    """The last test of these: nothing is left of what came before."""
    assert resident_bytes(stage.pid) < stage.memory + GROWTH
    assert not psutil.Process(stage.pid).children()
    folder = another(stage.models, 2)
    told = stage.control.LoadModel(model_pb2.LoadModelRequest(model=f"{NAME}@2"), timeout=WAIT).status
    assert (told.state, told.problem) == (model_pb2.MODEL_STATE_READY, "")
    assert stage.images.GenerateImages(PICTURES, timeout=WAIT).started.version == 2
    shutil.rmtree(folder)
