"""A real server is killed in the middle of a stream, and one that serves a newer version too takes its place."""

from pathlib import Path

from client.scripted import short_folder
from rhapsode_client import Client, ImageFormat
from support import bundles
from support.server import process
from support.tally import started_calls

COUNT = 30_000  # pictures of 768 bytes: an unread stream stops long before its end


def test_a_stream_survives_its_server(tmp_path: Path) -> None:
    bundles.autoencoder().write(tmp_path)
    with short_folder() as folder:
        flags = ("--address", f"unix:{folder}/s")
        with process(tmp_path, *flags) as first, Client(first.address) as client:
            stream = client.stream_images("tiny-faces", seed=6, count=COUNT, format=ImageFormat.RAW_FLOAT32)
            pictures = [next(stream) for _ in range(10)]
            first.process.kill()
            first.process.wait()
            bundles.autoencoder(version=2, seed=9).write(tmp_path)
            with process(tmp_path, *flags) as second:
                pictures.extend(stream)
                made = started_calls(second, "StreamImages")
                assert client.generate_images("tiny-faces").started.version == 2
                whole = client.stream_images("tiny-faces@1", seed=6, count=COUNT, format=ImageFormat.RAW_FLOAT32)
                expected = [picture.data for picture in whole]
    assert [picture.index for picture in pictures] == list(range(COUNT))
    assert [picture.data for picture in pictures] == expected
    assert made == 1
