"""The image serves: as process 1 of a container, as user 10001, on a root that nobody can write to."""

import re
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from PIL import Image as Picture
from typer.testing import CliRunner

from house.project import ROOT
from image.building import Image
from image.container import Container, run, serving, stopped_while_loading
from rhapsode_client import Client, ImageFormat
from rhapsode_client.cli.main import build

UNREAD = 8000  # pictures of 3 kB: a stream that nobody reads stops long before its end
pytestmark = [pytest.mark.image, pytest.mark.timeout(900)]


def test_it_streams_text(container: Container) -> None:
    with Client(container.address) as client:
        chunks = list(client.stream_text("names-rnn", seed=1))
        again = client.generate_text("names-rnn", seed=1)
    assert "".join(chunk.text for chunk in chunks) == again.text != ""


def test_it_samples_a_sheet(container: Container, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    words = ["images", "digits-gan", "--count", "16", "--seed", "1", "--out", str(sheet)]
    done = CliRunner().invoke(build(), words, env={"RHAPSODE_ADDRESS": container.address})
    assert done.exit_code == 0, done.output
    with Picture.open(sheet) as picture:
        assert min(picture.size) >= 4 * 28
        assert len(set(picture.convert("L").tobytes())) > 50


def test_its_metrics_page_counts(container: Container) -> None:
    with Client(container.address) as client:
        client.generate_images("digits-gan", count=2, seed=1)
    with urllib.request.urlopen(f"http://{container.metrics_address}/metrics", timeout=30) as reply:
        page = str(reply.read(), "utf-8")
    assert re.search(r'^rhapsode_items_generated_total\{[^}]*model="digits-gan"[^}]*\} 2\.0', page, re.MULTILINE)


def test_it_may_nothing(container: Container) -> None:
    status = container.status()
    assert status["NSpid"].split()[1:] == ["1"]
    assert status["Uid"].split() == status["Gid"].split() == ["10001"] * 4
    assert status["Groups"] == ""
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"


def test_sigterm_ends_it_well(container: Container) -> None:
    with Client(container.address) as client:
        client.generate_text("names-rnn", seed=1)
    assert container.stop() == 0


def test_it_stops_before_it_is_ready(image: Image) -> None:
    status, said = stopped_while_loading(image)
    assert status == 0
    assert '"ready"' not in said


def test_it_stops_while_it_streams(image: Image) -> None:
    patient = serving(image, RHAPSODE_DRAIN_DELAY="0", RHAPSODE_GRACE="300")
    with patient as container, Client(container.address) as client:
        stream = client.stream_images("digits-gan", seed=1, count=UNREAD, format=ImageFormat.RAW_FLOAT32)
        begun = next(stream)
        container.ask_to_stop()
        container.server.until_logged("stopping")
        assert [picture.index for picture in (begun, *stream)] == list(range(UNREAD))
        ended = container.server.until_logged("rpc")  # so it had not ended when the stop began
        assert (ended["grpc_code"], ended["items"]) == ("OK", UNREAD)
        assert container.server.process.wait(60) == 0


def test_the_health_check_of_compose_tells_ready_from_gone(image: Image) -> None:
    services = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text("utf-8"))["services"]
    kind, *words = services["rhapsode"]["healthcheck"]["test"]
    assert kind == "CMD"
    with serving(image, RHAPSODE_DRAIN_DELAY="0") as container:
        words[-1] = words[-1].replace("127.0.0.1:50051", container.address)
        before = time.monotonic()
        assert run(image, *words).returncode == 0
        print(f"a health check takes {time.monotonic() - before:.2f} s, with the start of its container")
        container.stop()
    assert run(image, *words).returncode != 0


def test_what_it_needs(image: Image) -> None:
    before = time.monotonic()
    with serving(image) as container:
        seconds = time.monotonic() - before
        resident = int(container.status()["VmRSS"].split()[0]) / 1000
        print(f"ready after {seconds:.1f} s; resident {resident:.0f} MB, {container.status()['Threads']} threads")
    assert resident < 800
