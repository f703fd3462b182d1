"""A description that does not fit the contract is refused, with the key, the rule, and what to do."""

from pathlib import Path

import pytest

from rhapsode_exporter.errors import ImportRefusedError
from rhapsode_exporter.importer.importing import read_model
from support import foreign
from support.import_refusals import assert_line, refused

# What stands in bundle.yaml, what takes its place, and a line of the refusal: its beginning, its rule, a part of it.
TEXT_EDITS = [
    ("name: foreign-text", "name: Foreign Text", "name", "M2", "must match"),
    ("name: foreign-text", "name: foreign.decode", "name", "M2", "must match"),
    ("name: foreign-text", "name: 12", "name", "M2", "put it in quotes"),
    ("name: foreign-text\n", "", "name", "M2", "is missing"),
    ("version: 1", "version: 0", "version", "M2", "[1, 999999999]"),
    ("version: 1", "version: 1.5", "version", "M2", "1.5"),
    ("version: 1", "version: true", "version", "M2", "true"),
    ("description: A test.", 'description: " "', "description", "M8", "is empty"),
    ("description: A test.", 'description: "\\ud800"', "description", "M8", "surrogate"),
    ("licence: CC0-1.0", "license: CC0-1.0", "license", "", "did you mean 'licence'"),
    ("licence: CC0-1.0", "licence: null", "licence", "M8", "is missing"),
    ("licence: CC0-1.0", "licence: CC0-1.0\nlicence: MIT", "bundle.yaml", "", "line 6, column 1: the key 'licence'"),
    ("kind: sequence", "kind: poem", "kind", "M3", "sequence, autoencoder, generator"),
    ("kind: sequence", "kind: generator", "kind", "M3", "give decode.onnx"),
    ("  step:", "  denoise:", "graphs.denoise", "M3", "no role of this release"),
    ("file: rnn.onnx", "file: else.onnx", "graphs.step.file", "M4", "not on the command line"),
    ("file: rnn.onnx", "file: else.onnx", "rnn.onnx", "M4", "has no role"),
    ("file: rnn.onnx", "{", "bundle.yaml", "", "is not YAML: line"),
    ("logits: scores", "logit: scores", "graphs.step.tensors.logit", "", "did you mean 'logits'"),
    ("logits: scores", "logits: score", "graphs.step.tensors.logits", "G5", "a_memory, scores, b_ticks"),
    ("token: ids, ", "", "rnn.onnx: input 'ids'", "G5", "is not said to be token or a state"),
    ("token: ids", "token: memory", "graphs.step", "G7", "'memory' stands in two places"),
    ("token: ids", "token: ticks", "rnn.onnx: input 'ids'", "G5", "int64 [N]"),
    ("output: b_ticks", "output: a_memory", "graphs.step.states[1]", "G7", "keeps its type and shape"),
    ("input: ticks", "input: tick", "graphs.step.states[1].input", "G7", "ids, memory, ticks"),
    ("input: ticks, ", "", "graphs.step.states[1].input", "G7", "is missing"),
    ("initial_value: 7", "initial_value: 7.5", "graphs.step.states[1].initial_value", "G7", "int64 cannot hold"),
    ("initial_value: 7", "initial_value: .nan", "graphs.step.states[1].initial_value", "G7", "a finite number"),
    ("initial_value: 7", "initial: 7", "graphs.step.states[1].initial", "", "initial_value"),
    ("{input: ticks, output: b_ticks, initial_value: 7}", "ticks", "graphs.step.states[1]", "", "not a mapping"),
    ("    states:", "    batch: B\n    states:", "graphs.step.batch", "G6", "its names are: N"),
    ("    states:", "    tolerance: -1\n    states:", "graphs.step.tolerance", "M7", "at least 0"),
    ("    states:", "    drop: [ids, x]\n    states:", "graphs.step.drop", "G5", "no input or output 'x'"),
    ("    states:", "    drop: [ids]\n    states:", "graphs.step.drop", "G5", "has a place"),
    ("sequence:\n", "sequenc:\n", "sequence", "M5", "a step graph needs it"),
    ("sequence:\n", "latent: {size: 3}\nsequence:\n", "latent", "M5", "remove it"),
    ("sequence:\n", "classes: [a]\nsequence:\n", "classes", "M6", "decode graph"),
    ('characters: "\\n abcdef"', 'characters: "\\n abcde"', "rnn.onnx: output 'scores'", "G5", "float32 [batch, 7]"),
    ('characters: "\\n abcdef"', 'characters: "aba"', "sequence.vocabulary.characters", "M6", "entry 0 and entry 2"),
    ('characters: "\\n abcdef"', 'characters: ""', "sequence.vocabulary.characters", "M6", "no tokens"),
    ('characters: "\\n abcdef"', "tokens: [a, yes]", "sequence.vocabulary.tokens[1]", "M6", "put it in quotes"),
    ('characters: "\\n abcdef"', "tokens: [a, '']", "sequence.vocabulary.tokens", "M6", "entry 1 has 0 characters"),
    ('characters: "\\n abcdef"', "tokens: a", "sequence.vocabulary.tokens", "", "not a list"),
    ('characters: "\\n abcdef"', "file: tokens.txt", "sequence.vocabulary.file", "M6", "tokens.txt cannot be read"),
    ('characters: "\\n abcdef", ', "", "sequence.vocabulary", "M6", "it has none"),
    ("characters:", "file: x, characters:", "sequence.vocabulary", "M6", "characters and file"),
    ('start_token: "\\n"', "start_token: z", "sequence.vocabulary.start_token", "M6", "id in [0, 7]"),
    ('start_token: "\\n"', "end_token: 8", "sequence.vocabulary.end_token", "M6", "id in [0, 7]"),
    ('start_token: "\\n"', "unknown_token: yes", "sequence.vocabulary.unknown_token", "M6", "is true"),
    ("sequence:\n", "sequence:\n  longest_prompt: -1\n", "sequence.longest_prompt", "M1", "whole number"),
    ("sequence:\n", "sequence:\n  penalties_count_prompt: 1\n", "sequence.penalties_count_prompt", "", "true or false"),
]
PICTURE_EDITS = [
    ("latent: {size: 5, ", "latent: {", "latent.size", "M5", "is missing"),
    ("size: 5", "size: 6", "dec.onnx: input 'z'", "G5", "float32 [batch, 6] (latent.size)"),
    ("size: 5", "size: 65537", "latent.size", "M5", "[1, 65536]"),
    ("prior: uniform", "prior: cauchy", "latent.prior", "M5", "normal, uniform"),
    ("prior: uniform", "prior: uniform, mean_radius: -1", "latent.mean_radius", "M7", "at least 0"),
    ("height: 4", "height: 5", "dec.onnx: output 'x_hat'", "G5", "float32 [batch, 3, 5, 6]"),
    ("height: 4", "height: 4097", "image.height", "M5", "[1, 4096]"),
    ("channels: 3", "channels: 2", "image.channels", "M5", "1 (grey) or 3"),
    ("low: -1, ", "", "image.low", "M7", "black"),
    ("low: -1", "low: 1", "image.high", "M7", "not above low"),
    ("low: -1", "low: 0", "dec.onnx: image", "G5", "goes from -1 to 1"),
    ("high: 1", "high: 0.9", "dec.onnx: image", "G5", "say -1 to 0.9"),
    ("latent: {", "classes: [a, a]\nlatent: {", "classes", "M6", "both 'a'"),
    ("latent: {", "classes: [a, b]\nlatent: {", "graphs.decode.tensors.class_id", "G5", "its inputs are: z"),
    (
        "file: dec.onnx",
        "file: dec.onnx, states: [{input: z, output: x_hat}]",
        "graphs.decode.states",
        "G7",
        "only a step",
    ),
    ("latent: z", "latent: x_hat", "graphs.decode.tensors.latent", "G5", "its inputs are: z"),
]


@pytest.mark.parametrize(("old", "new", "where", "rule", "part"), TEXT_EDITS)
def test_a_bad_description_of_text(old: str, new: str, where: str, rule: str, part: str, tmp_path: Path) -> None:
    assert old in foreign.TEXT
    lines = refused(tmp_path, foreign.TEXT.replace(old, new), rnn=foreign.recurrent())
    assert_line(lines, where, rule, part)


@pytest.mark.parametrize(("old", "new", "where", "rule", "part"), PICTURE_EDITS)
def test_a_bad_description_of_pictures(old: str, new: str, where: str, rule: str, part: str, tmp_path: Path) -> None:
    assert old in foreign.PICTURES
    lines = refused(tmp_path, foreign.PICTURES.replace(old, new), dec=foreign.decoder())
    assert_line(lines, where, rule, part)


def test_a_description_that_cannot_be_read(tmp_path: Path) -> None:
    assert_line(refused(tmp_path, ""), "bundle.yaml", "", "is nothing")
    assert_line(refused(tmp_path, "- a"), "bundle.yaml", "", "is a list")
    assert_line(refused(tmp_path, "a: !!python/name:os.system"), "bundle.yaml", "", "python/name")
    assert_line(refused(tmp_path, "[" * 500), "bundle.yaml", "", "recursion")
    assert_line(refused(tmp_path, "#" * (8 * 2**20 + 1)), "bundle.yaml", "", "larger than 8388608 bytes")
    (tmp_path / "bundle.yaml").unlink()
    with pytest.raises(ImportRefusedError, match=r"bundle\.yaml: cannot be read: No such file"):
        read_model(tmp_path / "bundle.yaml", [])


def test_files_without_a_place(tmp_path: Path) -> None:
    made = foreign.recurrent()
    lines = refused(tmp_path, foreign.TEXT, rnn=made, denoise=made, step=made, other=made)
    assert_line(lines, "denoise.onnx", "M3", "denoise is no role of this release")
    assert_line(lines, "step.onnx", "M3", "another file")
    assert_line(lines, "other.onnx", "M4", "has no role")
    described, (path,) = foreign.write(tmp_path / "twice", foreign.TEXT, rnn=made)
    with pytest.raises(ImportRefusedError, match=r"rnn\.onnx: is the name of two files"):
        read_model(described, [path, tmp_path / "rnn.onnx"])


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    description = foreign.TEXT.replace("licence", "license").replace("output: b_ticks", "output: a_memory")
    made = foreign.recurrent(["N", "T"], batch=None)
    lines = refused(tmp_path, description.replace("abcdef", "aa"), rnn=made)
    assert_line(lines, "license", "", "licence")
    assert_line(lines, "sequence.vocabulary.characters", "M6", "both 'a'")
    assert_line(lines, "graphs.step.states[1]", "G7", "a_memory")
    assert_line(lines, "rnn.onnx: input 'ids'", "G6", "say which is the batch (graphs.step.batch: N)")
