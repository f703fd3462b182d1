"""A bundle's own way to cut text into tokens: tokenizer.json, in the format of Hugging Face tokenizers."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tokenizers import Tokenizer, decoders

from rhapsode.v1.bundle_pb2 import Bundle, Vocabulary
from rhapsode_server.models.byte_alphabet import CHARACTERS, to_bytes
from rhapsode_server.models.detokenizer import Detokenizer
from rhapsode_server.repository import limits
from rhapsode_server.repository.keeping import keeps_all
from rhapsode_server.repository.problems import Problem, refusal, refuse
from rhapsode_server.repository.schema import TOKENIZER

# Words of rehearsal: letters of several scripts, a combining accent, an emoji of several characters, spaces, numbers.
_PROBE = "To be, or not to be:\n\tçà et là, Größe ΑΩ 漢字 e\u0301 👩\u200d🚀  3.14 <end>"


class Cut(NamedTuple):
    """The tokens of a text, and the index of the first character that there is no token for, if there is one."""

    ids: tuple[int, ...]
    unknown: int | None = None


class Cutter:
    """Cuts text into tokens. May be used by several threads at a time, and lets others run meanwhile."""

    def __init__(self, tokenizer: Tokenizer, drops: bool, keeps_all: bool) -> None:
        """`drops` says that the tokenizer leaves out characters that it has no token for."""
        self.keeps_all = keeps_all
        """Whether every byte of a text is known to be in a token, which has that byte in its own."""
        self._tokenizer = tokenizer
        self._drops = drops
        self._removes = tokenizer.normalizer is not None or tokenizer.pre_tokenizer is not None

    def cut(self, text: str, most: int) -> Cut:
        """The first tokens of a text, at most `most` of them; none are added."""
        # The batched calls let go of the interpreter's lock, the plain one does not.
        encode = self._tokenizer.encode_batch if self._drops else self._tokenizer.encode_batch_fast
        (encoding,) = encode([text], add_special_tokens=False)
        unknown = self._dropped(text, encoding.offsets) if self._drops else None
        if len(encoding) > most:
            encoding.truncate(most)
        return Cut(tuple(encoding.ids), unknown)

    def probe(self) -> bytes:
        """What becomes of a text of many kinds of characters, as bytes that tell two tokenizers apart."""
        return repr(tuple(self.cut(_PROBE, len(_PROBE.encode())))).encode()

    def _dropped(self, text: str, offsets: Sequence[tuple[int, int]]) -> int | None:
        """The first character that becomes no token, but for space between words.

        Offsets tell that something was left out, though not what: those after it have moved up.
        """
        if sum(stop - start for start, stop in offsets) >= len(text):
            return None
        gone = {each for each in set(text) if not (self._removes and each.isspace()) and not self._knows(each)}
        return next((index for index, each in enumerate(text) if each in gone), None)

    def _knows(self, character: str) -> bool:
        return bool(self._tokenizer.encode(character, add_special_tokens=False).ids)


def check(bundle: Bundle) -> Iterator[Problem]:
    """What the manifest has against the rules of vocabularies that are bytes, or have a tokenizer."""
    vocabulary = bundle.sequence.vocabulary
    if vocabulary.byte_level:
        yield from _byte_problems(vocabulary)
    if vocabulary.tokenizer != any(file.path == TOKENIZER for file in bundle.files):
        yield Problem("T2", TOKENIZER, "is listed in files exactly where sequence.vocabulary.tokenizer is true")
    if any(file.path == TOKENIZER and file.size > limits.TOKENIZER_BYTES for file in bundle.files):
        yield Problem("T3", TOKENIZER, f"is larger than {limits.TOKENIZER_BYTES} bytes")


def read(content: bytes, bundle: Bundle) -> Cutter:
    """The tokenizer of a bundle; BundleError where it is none, or not that of the vocabulary."""
    where, vocabulary = f"{bundle.name}/{bundle.version}", bundle.sequence.vocabulary
    tokenizer = _parsed(content, where)
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    refuse(where, (*_vocabulary_problems(tokenizer, vocabulary), *_decoder_problems(tokenizer, model, vocabulary)))
    refuse(where, _unknown_problems(tokenizer, model, vocabulary))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if model.get("dropout"):
        tokenizer.model.dropout = None
    drops = not vocabulary.byte_level and not vocabulary.HasField("unknown_token")
    return Cutter(tokenizer, drops, keeps_all=keeps_all(json.loads(tokenizer.to_str()), vocabulary))


def _parsed(content: bytes, where: str) -> Tokenizer:
    try:
        return Tokenizer.from_str(content.decode())
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the binding raises Exception itself, and a panic of its is not even one
        text = " ".join(str(error).split())[:200]
        problem = Problem("T3", TOKENIZER, f"is not in the format of Hugging Face tokenizers: {text}")
        raise refusal(where, problem) from error


def _byte_problems(vocabulary: Vocabulary) -> Iterator[Problem]:
    where = "sequence.vocabulary.tokens"
    known = frozenset(CHARACTERS)
    for identity, token in enumerate(vocabulary.tokens):
        if not known.issuperset(token):
            yield Problem("T1", f"{where}[{identity}]", "has a character that stands for no byte")
            return
    start = vocabulary.start_token
    if vocabulary.HasField("start_token") and start < len(vocabulary.tokens):
        detokenizer = Detokenizer([to_bytes(vocabulary.tokens[start])])
        detokenizer.push(0)
        if detokenizer.inside:
            yield Problem("T1", "sequence.vocabulary.start_token", "ends inside a character")


def _vocabulary_problems(tokenizer: Tokenizer, vocabulary: Vocabulary) -> Iterator[Problem]:
    given = tokenizer.get_vocab(with_added_tokens=True)
    wanted = {token: identity for identity, token in enumerate(vocabulary.tokens)}
    if given == wanted:
        return
    wrong = sorted(identity for token, identity in wanted.items() if given.get(token) != identity)
    what = f"has another token {wrong[0]}" if wrong else f"has {len(given)} tokens"
    yield Problem("T4", TOKENIZER, f"{what} than sequence.vocabulary, which has {len(wanted)} tokens")


def _decoder_problems(tokenizer: Tokenizer, model: dict[str, Any], vocabulary: Vocabulary) -> Iterator[Problem]:
    decoder = tokenizer.decoder
    if vocabulary.byte_level and not isinstance(decoder, decoders.ByteLevel):
        yield Problem("T5", f"{TOKENIZER}: decoder", "must be ByteLevel where the vocabulary is byte-level")
    if not vocabulary.byte_level and not (decoder is None or isinstance(decoder, decoders.Fuse)):
        yield Problem("T5", f"{TOKENIZER}: decoder", "must be none, or Fuse: text is the tokens one after another")
    for key in ("byte_fallback", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            yield Problem("T5", f"{TOKENIZER}: model.{key}", "must not be set: text is the tokens one after another")


def _unknown_problems(tokenizer: Tokenizer, model: dict[str, Any], vocabulary: Vocabulary) -> Iterator[Problem]:
    """Each kind of model has its own way to name the token for what it does not know; Unigram gives the id."""
    name = model.get("unk_token")
    given = model.get("unk_id") if name is None else tokenizer.token_to_id(name)
    wanted = vocabulary.unknown_token if vocabulary.HasField("unknown_token") else None
    if given is not None and given != wanted:
        yield Problem("T6", f"{TOKENIZER}: model", "has an unknown token that is not sequence.vocabulary's")
    if given is None and (
        name is not None or (wanted is not None and not vocabulary.byte_level) or model["type"] == "Unigram"
    ):
        yield Problem("T6", f"{TOKENIZER}: model", "has no unknown token, or one that is no token")
    if vocabulary.byte_level and given is None and not set(CHARACTERS).issubset(vocabulary.tokens):
        yield Problem("T6", "sequence.vocabulary.tokens", "lacks a byte, and the tokenizer knows no unknown token")
