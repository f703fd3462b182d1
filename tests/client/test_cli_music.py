"""`rhapsode music` against a real server of models that know a tune by heart."""

import io
import json
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from music21 import converter, meter, midi
from PIL import Image
from typer.testing import CliRunner, Result

from rhapsode_client.cli.main import build
from rhapsode_client.music.sound import RATE, TAIL
from support.server import process
from support.speller import speller

Runner = Callable[..., Result]
TOKENS = tuple("\n |:/123468ABCDEFGKLMabcdefgz[]m")
LINE = "M:2/4 K:D d|fedA|F2 A2|d3:|"
EXAMPLE = 'X:1\nT:An example\nM:2/4\nL:1/8\nK:D major\n"D"d|{e}f~edA|\\\n(F2 A2)|d3|]\n'


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = tmp_path_factory.mktemp("tunes")
    speller("fiddle-rnn", LINE + "\n", TOKENS).write(models)
    speller("goes-on", "M:2/4 K:D d|fedA|F2 A2|d3||" + "A|GFED|E2 F2|G4|GFED|E2 F2|D3||\n", TOKENS).write(models)
    speller("at-times", [*"M:2/4 K:D AB", "cm", *"d|e4||\n"], TOKENS).write(models)
    speller("never", "M:2/4 K:D AB[d|e4||\n", TOKENS).write(models)
    speller("endless", "M:2/4 K:D " + 600 * "A", TOKENS).write(models)
    with process(models, "--max-tokens", "512", "--max-prompt-tokens", "256") as server:
        yield server.address


@pytest.fixture
def rhapsode(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Run a command in this process and a folder of its own, without a terminal."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(build(), arguments, env={"RHAPSODE_ADDRESS": address})


def test_a_tune_in_four_files(rhapsode: Runner, tmp_path: Path) -> None:
    done = rhapsode("music", "--seed", "3", "--tempo", "120", "--out", "new/jig", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    record = json.loads(done.stdout)
    assert (record["seed"], record["metre"], record["key"], record["bars"]) == (3, "2/4", "D", 4)
    assert record["files"] == [f"new/jig{kind}" for kind in (".abc", ".mid", ".wav", ".png")]
    abc = (tmp_path / "new/jig.abc").read_text()
    assert abc == "X:1\nT:fiddle-rnn@1, seed 3\nM:2/4\nL:1/8\nQ:1/4=120\nK:D\nd|fedA|F2 A2|d3:|\n"
    check_sound((tmp_path / "new/jig.wav").read_bytes(), seconds=12 / 2)  # twelve quarter notes, the repeat played
    assert pitches((tmp_path / "new/jig.mid").read_bytes()) == 2 * [74, 78, 76, 74, 69, 66, 69, 74]
    with Image.open(tmp_path / "new/jig.png") as roll:
        assert roll.width > 6 * 28


def check_sound(content: bytes, seconds: float) -> None:
    with wave.open(io.BytesIO(content)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, RATE)
        assert sound.getnframes() == round((seconds + TAIL) * RATE)
        assert any(sound.readframes(RATE))


def pitches(content: bytes) -> list[int]:
    file = midi.MidiFile()
    file.readstr(content)
    return [event.pitch for track in file.tracks for event in track.events if event.isNoteOn() and event.velocity]


def test_metre_and_key(rhapsode: Runner, tmp_path: Path) -> None:
    assert rhapsode("music", "--metre", "6/8", "--key", "G", "--seed", "1").exit_code == 0
    abc = (tmp_path / "fiddle-rnn.abc").read_text().splitlines()
    assert abc[2:] == ["M:6/8", "L:1/8", "Q:3/8=100", "K:G", "d|fedA|F2 A2|d3:|"]
    assert rhapsode("music", "--key", "Em", "--out", "b.abc").exit_code == 0
    assert "M:2/4\n" in (tmp_path / "b.abc").read_text()
    assert (tmp_path / "b.mid").exists()


def test_a_midi_file_has_the_tunes_metre(rhapsode: Runner, tmp_path: Path) -> None:
    assert rhapsode("music", "--metre", "6/8", "--key", "G", "--seed", "1", "--out", "jig").exit_code == 0
    signs = converter.parse(tmp_path / "jig.mid").recurse().getElementsByClass(meter.TimeSignature)
    assert [sign.ratioString for sign in signs] == ["6/8"]


def test_several_are_numbered(rhapsode: Runner, tmp_path: Path) -> None:
    done = rhapsode("music", "--count", "2", "--seed", "7", "--json")
    assert [json.loads(line)["seed"] for line in done.stdout.splitlines()] == [7, 8]
    assert sorted(path.name for path in tmp_path.glob("*.wav")) == ["fiddle-rnn-1.wav", "fiddle-rnn-2.wav"]


def test_after_an_example(rhapsode: Runner, tmp_path: Path) -> None:
    (tmp_path / "example.abc").write_text(EXAMPLE)
    done = rhapsode("music", "goes-on", "--after", "example.abc", "--seed", "1", "--out", "more")
    assert (done.exit_code, done.stderr) == (0, "")
    assert (tmp_path / "more.abc").read_text().endswith("L:1/8\nQ:1/4=100\nK:D\nA|GFED|E2 F2|G4|GFED|E2 F2|D3||\n")


def test_a_tune_that_cannot_be_read_is_written_anew(rhapsode: Runner) -> None:
    done = rhapsode("music", "at-times", "--count", "6", "--seed", "1", "--json")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 6
    assert "brought no tune: music21 cannot read all of it" in done.stderr


@pytest.mark.parametrize(("model", "why"), [("never", "music21 cannot read it"), ("endless", "not at its end")])
def test_models_that_write_no_tunes(rhapsode: Runner, tmp_path: Path, model: str, why: str) -> None:
    done = rhapsode("music", model, "--seed", "1")
    assert done.exit_code == 1
    assert done.stderr.count("brought no tune") == 9
    assert f"8 seeds brought no tune; of the last one: {why}" in done.stderr.replace("it was ", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--metre", "six"], 2, "no metre"),
        (["--key", "H"], 2, "no key"),
        (["--tempo", "0"], 2, "tempo"),
        (["--count", "0"], 2, "count"),
        (["--after", "nowhere.abc"], 2, "nowhere.abc"),
        (["--after", "noise.abc"], 1, "needs a metre"),
        (["--after", "eighths.abc"], 1, "not 'eighths'"),
        (["--metre", "9/16"], 1, "token"),
        (["nobody"], 1, "rhapsode models"),
    ],
)
def test_what_is_refused(rhapsode: Runner, tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    (tmp_path / "noise.abc").write_text("no tune\n")
    (tmp_path / "eighths.abc").write_text(EXAMPLE.replace("1/8", "eighths"))
    done = rhapsode("music", *arguments)
    assert done.exit_code == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra(rhapsode: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("music21", "rhapsode_client.cli.tune"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("reading", "midi"):
        monkeypatch.delitem(sys.modules, f"rhapsode_client.music.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "music21", None)
    done = rhapsode("music")
    assert done.exit_code == 1
    assert "pip install 'rhapsode[music]'" in done.stderr
