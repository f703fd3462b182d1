"""The vocabulary of a tokenizer.json, in the format of Hugging Face tokenizers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders

from rhapsode_exporter.importer import limits
from rhapsode_exporter.importer.section import Section

KEY = "tokenizer"


@dataclass(frozen=True, slots=True)
class TokenizerFile:
    """What a tokenizer.json says: its tokens by id, whether they are bytes, and the unknown token if it has one."""

    tokens: Sequence[str]
    byte_level: bool
    unknown_token: int | None


def read_tokenizer(section: Section, folder: Path) -> TokenizerFile | None:
    """The file that the section names, relative to `folder`; None, with problems, where a bundle cannot have it."""
    path = folder / section.text(KEY, "T3")
    try:
        if path.stat().st_size > limits.TOKENIZER_BYTES:
            section.wrong(KEY, f"{path.name} is larger than {limits.TOKENIZER_BYTES} bytes", "T3")
            return None
        tokenizer = _parsed(path.read_bytes())
    except OSError as error:
        section.wrong(KEY, f"{path.name or '.'} cannot be read: {error.strerror} (looked for beside bundle.yaml)", "T3")
        return None
    if tokenizer is None:
        section.wrong(KEY, f"{path.name} is not in the format of Hugging Face tokenizers", "T3")
        return None
    return _described(section, tokenizer)


def _described(section: Section, tokenizer: Tokenizer) -> TokenizerFile | None:
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    if sorted(vocabulary.values()) != list(range(len(tokens))):
        section.wrong(KEY, "has ids that are not 0 to the number of its tokens", "T4")
        return None
    decoder = tokenizer.decoder
    if not (decoder is None or isinstance(decoder, decoders.ByteLevel | decoders.Fuse)):
        section.wrong(KEY, f"has the decoder {type(decoder).__name__}; it is ByteLevel, Fuse or none", "T5")
        return None
    model = json.loads(tokenizer.to_str())["model"]
    name = model.get("unk_token")
    unknown = model.get("unk_id") if name is None else vocabulary.get(name)
    return TokenizerFile(tokens, isinstance(decoder, decoders.ByteLevel), unknown)


def _parsed(content: bytes) -> Tokenizer | None:
    try:
        return Tokenizer.from_str(content.decode())
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # the binding raises Exception itself, and a panic of its is not even one
        return None
