"""Pictures compressed and transformed, by the library and by the command line, against a real server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from rhapsode_client import AsyncClient, Capability, Client, ImageFormat, InvalidRequest, UnreadablePayload, Unsupported
from rhapsode_client.cli.main import build
from support.bundles import cipher, compressor, transformer
from support.server import process

Runner = Callable[..., Result]
FACE = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
LARGE = Image.new("RGB", (30, 20), "red")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = tmp_path_factory.mktemp("models")
    for draft in (compressor(), transformer(), cipher()):
        draft.write(models)
    with process(models) as server:
        yield server.address


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as connected:
        yield connected


@pytest.fixture
def rhapsode(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(build(), arguments, env={"RHAPSODE_ADDRESS": address})

    return run


def test_models_say_what_they_can(client: Client) -> None:
    codec, mirror = client.model("tiny-codec"), client.model("tiny-mirror")
    assert Capability.COMPRESS_IMAGES in codec.capabilities
    assert codec.code is not None
    assert (codec.code.step, codec.code.reach) == (0.25, 9)
    assert (mirror.kind, mirror.capabilities, mirror.code) == ("transform", (Capability.TRANSFORM_IMAGES,), None)
    assert client.model("tiny-cipher").capabilities == ()


def test_codes_go_out_and_pictures_come_back(client: Client) -> None:
    codes = client.compress_images("tiny-codec", [FACE, LARGE])
    assert [code.converted for code in codes] == [False, True]
    assert all(code.payload.startswith(b"RHC\x01") for code in codes)
    result = client.decompress_images("tiny-codec", [codes[0], codes[1].payload], format=ImageFormat.RAW_UINT8)
    assert [picture.array().shape for picture in result.pictures] == [(8, 8, 3)] * 2
    assert (result.started.count, result.started.seed) == (2, None)
    means = [np.clip(np.rint(one.mean / 0.25), -9, 9) * 0.25 for one in client.encode_images("tiny-codec", [FACE])]
    (decoded,) = client.decode_latents("tiny-codec", means, format=ImageFormat.RAW_UINT8)
    assert decoded.data == result.pictures[0].data


def test_transforms(client: Client) -> None:
    result = client.transform_images("tiny-mirror", [FACE, LARGE], format=ImageFormat.RAW_FLOAT32)
    assert result.converted == (False, True)
    assert [picture.array().shape for picture in result.pictures] == [(8, 8, 3)] * 2
    assert (result.started.model, result.started.count) == ("tiny-mirror", 2)


def test_errors(client: Client) -> None:
    (code,) = client.compress_images("tiny-codec", [FACE])
    with pytest.raises(UnreadablePayload) as damaged:
        client.decompress_images("tiny-codec", [code, code.payload[:-1] + b"\0\0"])
    assert damaged.value.field_violations[0].field == "compressed[1].payload"
    with pytest.raises(InvalidRequest, match=r"compressed\[0\] must be bytes"):
        client.decompress_images("tiny-codec", ["text"])  # type: ignore[list-item]
    with pytest.raises(Unsupported):
        client.transform_images("tiny-cipher", [FACE])
    with pytest.raises(Unsupported):
        client.compress_images("tiny-mirror", [FACE])


async def test_the_asynchronous_client_gives_the_same(address: str, client: Client) -> None:
    async with AsyncClient(address) as asynchronous:
        codes = await asynchronous.compress_images("tiny-codec", [FACE])
        pictures = (await asynchronous.decompress_images("tiny-codec", codes)).pictures
        changed = await asynchronous.transform_images("tiny-mirror", [FACE])
    assert codes == client.compress_images("tiny-codec", [FACE])
    assert pictures[0].data == client.decompress_images("tiny-codec", codes).pictures[0].data
    assert changed.pictures[0].data == client.transform_images("tiny-mirror", [FACE]).pictures[0].data


def test_a_file_is_compressed_and_comes_back(rhapsode: Runner, tmp_path: Path, client: Client) -> None:
    Image.fromarray(FACE).save(tmp_path / "face.png")
    done = rhapsode("compress", "tiny-codec", "face.png", "--out", "new/face.rhc", "--json")
    payload = (tmp_path / "new" / "face.rhc").read_bytes()
    assert json.loads(done.stdout) == {
        "file": "new/face.rhc",
        "bytes": len(payload),
        "converted": False,
        "model": "tiny-codec",
    }
    assert rhapsode("compress", "tiny-codec", "face.png").exit_code == 0
    assert (tmp_path / "face.rhc").read_bytes() == payload
    original = (tmp_path / "face.png").read_bytes()
    assert rhapsode("decompress", "tiny-codec", "face.rhc").exit_code == 0
    assert ((tmp_path / "face.rhc.png").exists(), (tmp_path / "face.png").read_bytes()) == (True, original)
    back = rhapsode("decompress", "tiny-codec", "face.rhc", "--out", "back.webp", "--json")
    assert json.loads(back.stdout) == {"file": "back.webp", "model": "tiny-codec", "version": 1}
    with Image.open(tmp_path / "back.webp") as picture:
        expected = client.decompress_images("tiny-codec", [payload]).pictures[0].array()
        assert picture.format == "WEBP"
        assert np.array_equal(np.asarray(picture), expected)


def test_files_are_transformed(rhapsode: Runner, tmp_path: Path, client: Client) -> None:
    for name in ("one.png", "two.webp"):
        Image.fromarray(FACE).save(tmp_path / name, lossless=True)
    done = rhapsode("transform", "tiny-mirror@1", "one.png", "two.webp", "--json")
    files = [json.loads(line)["file"] for line in done.stdout.splitlines()]
    assert files == ["tiny-mirror/one.png", "tiny-mirror/two.png"]
    expected = client.transform_images("tiny-mirror", [FACE]).pictures[0].array()
    for file in files:
        with Image.open(tmp_path / file) as picture:
            assert np.array_equal(np.asarray(picture), expected)
    assert rhapsode("transform", "tiny-mirror", "one.png", "--out", "x.jpg").exit_code == 0
    with Image.open(tmp_path / "x.jpg") as picture:
        assert picture.format == "JPEG"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["compress", "tiny-codec", "none.png"], 1, "none.png"),
        (["compress", "tiny-mirror", "face.png"], 1, "does not compress"),
        (["decompress", "tiny-codec", "face.png"], 1, "must be a payload"),
        (["decompress", "tiny-codec", "face.png", "--out", "x.txt"], 2, "ends with one of"),
        (["transform", "tiny-cipher", "face.png"], 1, "does not turn pictures"),
        (["transform", "tiny-mirror", "face.png", "face.png"], 2, "same name"),
        (["transform", "tiny-mirror", "face.png", "b.png", "--out", "x.png"], 2, "folder"),
        (["transform", "tiny-mirror", "face.png", "--out", "face.png"], 2, "would overwrite"),
        (["transform", "tiny-mirror", "face.png", "--out", "."], 2, "would overwrite"),
    ],
)
def test_errors_say_what_to_do(rhapsode: Runner, tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    Image.fromarray(FACE).save(tmp_path / "face.png")
    done = rhapsode(*arguments)
    assert (done.exit_code, words in " ".join(done.stderr.split())) == (code, True), done.stderr


def test_help_teaches(rhapsode: Runner) -> None:
    for command in ("compress", "decompress", "transform"):
        done = rhapsode(command, "--help")
        assert done.exit_code == 0
        assert f"rhapsode {command}" in done.stdout
