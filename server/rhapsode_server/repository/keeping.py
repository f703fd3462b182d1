"""Whether a tokenizer is one that leaves nothing of a text out and joins nothing but its tokens' own bytes.

Of such a one it is known without a look at a text how many tokens it has at least, so that a text which is far too long
is refused before it is cut.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rhapsode.v1.bundle_pb2 import Vocabulary
from rhapsode_server.models.byte_alphabet import CHARACTERS


def keeps_all(tokenizer: Mapping[str, Any], vocabulary: Vocabulary) -> bool:
    """Whether that is certain of what a tokenizer.json says: of byte-level byte-pair encodings that know all bytes."""
    return (
        vocabulary.byte_level
        and tokenizer["model"]["type"] == "BPE"
        and tokenizer["model"].get("unk_token") is None
        and set(CHARACTERS).issubset(vocabulary.tokens)
        and tokenizer.get("normalizer") is None
        and _spells_and_splits(tokenizer.get("pre_tokenizer"))
        # Such a token swallows all space beside it.
        and not any(token["lstrip"] or token["rstrip"] for token in tokenizer.get("added_tokens", ()))
    )


def _spells_and_splits(pre_tokenizer: Mapping[str, Any] | None) -> bool:
    """Whether it writes a text as bytes, and cuts it into pieces that together have all of it."""
    parts = list(_parts(pre_tokenizer or {"type": ""}))
    return "ByteLevel" in (part["type"] for part in parts) and all(map(_splits_only, parts))


def _parts(pre_tokenizer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if pre_tokenizer["type"] != "Sequence":
        yield pre_tokenizer
        return
    for part in pre_tokenizer["pretokenizers"]:
        yield from _parts(part)


def _splits_only(part: Mapping[str, Any]) -> bool:
    if part["type"] in ("Split", "Punctuation"):
        return str(part["behavior"]) != "Removed"
    return part["type"] in ("ByteLevel", "Digits")
