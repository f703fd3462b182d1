"""The command line against a real server, as a process where pipes and signals matter."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence
from typer.testing import CliRunner, Result

from rhapsode_client import Client
from rhapsode_client.cli.main import build
from support.server import clean_environment

Runner = Callable[..., Result]


def words(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "rhapsode_client", *arguments]


@pytest.fixture
def rhapsode(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Run a command in this process and a folder of its own, without a terminal."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(build(), arguments, input=stdin, env={"RHAPSODE_ADDRESS": address})

    return run


def lines(output: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.splitlines()]


def assert_error(done: Result, code: int, words_of: str) -> None:
    assert done.exit_code == code
    assert re.search(words_of, done.stderr)
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.count("\n") == 1


def test_models(rhapsode: Runner) -> None:
    table, described, records = rhapsode("models"), rhapsode("models", "tiny-faces"), rhapsode("models", "--json")
    assert all(
        name in table.stdout
        for name in ("tiny-text@1", "tiny-faces@1", "tiny-digits@1", "8×8 grey", "judgements of 8×8 colour")
    )
    assert "\x1b" not in table.stdout + described.stdout
    assert "8 numbers, normal" in described.stdout
    names = [record["name"] for record in lines(records.stdout)]
    assert names == sorted(map(str, names))
    assert len(names) == 5


def test_text_in_a_pipe_is_the_text_and_nothing_else(rhapsode: Runner, address: str) -> None:
    with Client(address) as client:
        expected = client.generate_text("tiny-text", "the ", seed=3, max_tokens=40, temperature=0.7).text
    done = rhapsode("text", "tiny-text", "the ", "--seed", "3", "--max-tokens", "40", "--temperature", "0.7")
    assert (done.exit_code, done.stdout, done.stderr) == (0, expected, "")
    dashed = rhapsode(
        "text", "tiny-text", "-", "--seed", "3", "--max-tokens", "40", "--temperature", "0.7", stdin="the "
    )
    assert dashed.stdout == expected


def test_text_as_json_lines(rhapsode: Runner) -> None:
    done = rhapsode(
        "text", "tiny-text", "a", "--seed", "3", "--max-tokens", "20", "--logprobs", "2", "--echo", "--json"
    )
    started, *chunks, finished = lines(done.stdout)
    assert (started["type"], started["seed"], finished["type"], finished["reason"]) == (
        "started",
        3,
        "finished",
        "max_tokens",
    )
    assert {chunk["type"] for chunk in chunks} == {"chunk"}
    assert chunks[0]["echoed"] is True
    assert sum(len(as_list(chunk["logprobs"])) for chunk in chunks) == 20


def as_list(value: object) -> Sequence[object]:
    assert isinstance(value, list)
    return value


def test_several_candidates_and_logprobs_for_people(rhapsode: Runner) -> None:
    several = rhapsode("text", "tiny-text", "a", "--seed", "3", "--candidates", "2", "--max-tokens", "5")
    assert re.findall("── candidate . ──", several.stdout) == ["── candidate 0 ──", "── candidate 1 ──"]
    table = rhapsode("text", "tiny-text", "a", "--seed", "3", "--logprobs", "1", "--max-tokens", "5")
    rows = [line.split("\t") for line in table.stdout.splitlines()]
    assert [row[:2] for row in rows] == [["0", str(index)] for index in range(5)]


def test_scores(rhapsode: Runner, address: str) -> None:
    with Client(address) as client:
        expected = client.score("tiny-text", ["the end", "a\nb"], top_logprobs=2)
    table = rhapsode("score", "tiny-text", "the end", "a\nb")
    rows = [re.split(r"\s{2,}", line.strip()) for line in table.stdout.splitlines()[1:]]
    assert rows == [
        [repr(text), str(len(text)), f"{one.bits_per_character:.3f}", f"{one.perplexity:.4g}"]
        for text, one in zip(("the end", "a\nb"), expected.scores, strict=True)
    ]
    single = rhapsode("score", "tiny-text", "the end", "a\nb", "--per-token", "--top", "2").stdout.splitlines()
    assert [line.split("\t")[:3] for line in single[7:]] == [["1", "0", "'a'"], ["1", "1", "'\\n'"], ["1", "2", "'b'"]]
    assert [line.split("\t")[3] for line in single[:7]] == [f"{one.logprob:.4f}" for one in expected.scores[0].logprobs]
    assert len(single[0].split("\t")) == 6
    (record,) = lines(rhapsode("score", "tiny-text", "the end", "--json").stdout)
    assert (record["type"], record["text"], record["fingerprint"]) == ("score", "the end", expected.fingerprint)
    assert record["bits_per_character"] == expected.scores[0].bits_per_character
    assert as_list(record["token_ids"]) == list(expected.scores[0].token_ids)
    (piped,) = lines(rhapsode("score", "tiny-text", "-", "--json", stdin="the end").stdout)
    assert piped == record


def test_endless_text_is_one_text_until_somebody_ends_it(rhapsode: Runner, address: str) -> None:
    command = words("text", "tiny-text", "the ", "--seed", "5", "--endless", "--max-tokens", "10", "--address", address)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment()) as endless:
        assert endless.stdout is not None
        text = endless.stdout.read(150).decode()
        endless.send_signal(signal.SIGINT)
        _, complaints = endless.communicate(timeout=30)
    assert endless.returncode == 130
    assert b"Traceback" not in complaints
    with Client(address) as client:
        first = client.generate_text("tiny-text", "the ", seed=5, max_tokens=64)
        prompt = (*client_ids(first.text, client)[-32:],)
        second = client.generate_text("tiny-text", prompt, seed=6, max_tokens=64).text
    assert text[:128] == first.text + second


def client_ids(text: str, client: Client) -> list[int]:
    sequence = client.model("tiny-text").sequence
    assert sequence is not None
    return [sequence.tokens.index(character) for character in text]


def test_a_reader_that_leaves_is_no_error(address: str) -> None:
    command = words("text", "tiny-text", "the ", "--seed", "5", "--endless", "--address", address)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment()) as endless:
        assert endless.stdout is not None
        assert endless.stderr is not None
        endless.stdout.read(10)
        endless.stdout.close()
        complaints = endless.stderr.read()
        assert endless.wait(timeout=30) == 0
    assert complaints == b""


def test_a_sheet(rhapsode: Runner, tmp_path: Path) -> None:
    done = rhapsode(
        "images", "tiny-digits", "--count", "6", "--seed", "1", "--columns", "3", "--out", "new/x.png", "--json"
    )
    (record,) = lines(done.stdout)
    assert (record["file"], record["pictures"], record["seed"]) == ("new/x.png", 6, 1)
    with Image.open(tmp_path / "new" / "x.png") as sheet:
        assert sheet.width > 3 * 96
        assert sheet.height > 2 * 96
    assert done.stderr == ""
    assert rhapsode("images", "tiny-digits").exit_code == 0
    assert (tmp_path / "tiny-digits.png").exists()


def test_single_files(rhapsode: Runner, tmp_path: Path, address: str) -> None:
    done = rhapsode("images", "tiny-faces", "--seeds", "4,7-8", "--out-dir", "d", "--format", "webp", "--json")
    files = [str(record["file"]) for record in lines(done.stdout)]
    assert files == [f"d/tiny-faces-seed{seed}.webp" for seed in (4, 7, 8)]
    with Client(address) as client:
        expected = client.generate_images("tiny-faces", seed=7).pictures[0].array()
    with Image.open(tmp_path / files[1]) as picture:
        assert np.array_equal(np.asarray(picture), expected)
    assert rhapsode("images", "tiny-faces", "--seed", "7", "--out-dir", "d", "--format", "raw_float32").exit_code == 0
    assert np.load(tmp_path / "d" / "tiny-faces-seed7-00000.npy").shape == (8, 8, 3)


def test_morph(rhapsode: Runner, tmp_path: Path) -> None:
    assert rhapsode("images", "tiny-faces", "--seeds", "4", "--out-dir", ".").exit_code == 0
    points = ("--from", "1", "--key", "2", "--to", "tiny-faces-seed4.png", "--frames", "4")
    done = rhapsode("morph", "tiny-faces", *points, "--method", "slerp", "--loop", "--out", "o/m.png", "--json")
    assert done.stderr == ""
    (record,) = lines(done.stdout)
    assert (record["file"], record["frames"]) == ("o/m.png", 12)
    with Image.open(tmp_path / "o" / "m.png") as animation:
        assert len(list(ImageSequence.Iterator(animation))) == 12


@pytest.mark.parametrize(
    ("arguments", "code", "words_of"),
    [
        (["text", "nobody", "x"], 1, "rhapsode models"),
        (["text", "tiny-faces", "x"], 1, "does not generate text"),
        (["text", "tiny-text", "Ω", "--max-tokens", "8"], 1, "index 0"),
        (["text", "tiny-text", "--temperature", "nan"], 1, "temperature"),
        (["text", "tiny-text", "--max-tokens", "1000000000000"], 1, "max_tokens must be from 0 to"),
        (["text", "tiny-text", "--max-tokens", "1000000"], 1, "generation.stopping.max_tokens must be in"),
        (["text", "tiny-text", *["--stop", "x"] * 10_000], 1, "generation.stopping.stop_sequences must have 0 to 16"),
        (["images", "tiny-shapes", "--class", "cube", "--count", "1"], 1, "class"),
        (["morph", "tiny-digits", "--from", "none.png", "--to", "1", "--out", "x.gif"], 1, "none.png"),
        (["models", "--address", "unix:/nowhere/at/all"], 1, "rhapsode-server"),
        (["text", "tiny-text", "--endless", "--candidates", "2"], 2, "endless"),
        (["text", "tiny-text", "--seed", "-1"], 2, "seed"),
        (["score", "tiny-text", "a", "Ω"], 1, r"inputs\[1\]"),
        (["score", "tiny-text", ""], 2, "nothing to score"),
        (["images", "tiny-digits", "--seed", "1", "--seeds", "2"], 2, "exclude"),
        (["images", "tiny-digits", "--out", "x.png", "--out-dir", "d"], 2, "exclude"),
        (["images", "tiny-digits", "--out", "x.xyz"], 2, "ends with"),
        (["images", "tiny-digits", "--format", "png"], 2, "out-dir"),
        (["images", "tiny-digits", "--seeds", "3-1"], 2, "upwards"),
        (["morph", "tiny-digits", "--from", "1", "--to", "2", "--out", "x.jpg"], 2, "ends with"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_errors_say_what_to_do(rhapsode: Runner, arguments: list[str], code: int, words_of: str) -> None:
    assert_error(rhapsode(*arguments), code, words_of)


def test_help_teaches(rhapsode: Runner) -> None:
    for command in ("models", "text", "score", "images", "judge", "morph"):
        done = rhapsode(command, "--help")
        assert done.exit_code == 0
        assert f"rhapsode {command}" in done.stdout
    assert re.match(r"rhapsode \d+\.\d+\.\d+", rhapsode("--version").stdout)


def test_stdin_that_is_not_utf8(rhapsode: Runner) -> None:
    done = rhapsode("text", "tiny-text", "-", stdin=b"\xff")
    assert (done.exit_code, "UTF-8" in done.stderr) == (2, True)


def test_a_pipe_through_the_command(address: str) -> None:
    command = words("text", "tiny-text", "--echo", "--seed", "3", "--max-tokens", "40", "--address", address)
    done = subprocess.run(command, input=b"the ", capture_output=True, env=clean_environment(), timeout=60)
    with Client(address) as client:
        expected = client.generate_text("tiny-text", "the ", seed=3, max_tokens=40).text
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, "the " + expected, b"")


def test_a_terminal_that_lacks_a_character_gets_its_code(address: str) -> None:
    environment = {**clean_environment(), "RHAPSODE_ADDRESS": address, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words("models"), env=environment, capture_output=True, check=True)
    assert rb"8\xd78 grey" in done.stdout
