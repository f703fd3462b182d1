"""Tiny text models whose tokens are bytes, or that bring a tokenizer of their own."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from rhapsode_server.models.byte_alphabet import CHARACTERS
from support import bundles
from support.bundles import Draft

END = "<|end|>"
UNKNOWN = "<unknown>"
TEXT = "çà et là: 漢字, 🙂🚀 and 👩\u200d🚀; the cat, the hat and the bat. Größe, ΑΩ.\n"
TOKENIZER = "tokenizer.json"


def byte_model(name: str = "tiny-bytes", *, start_token: str | None = "Ċ") -> Draft:  # noqa: S107  # no password
    """A model of single bytes, 256 of them; it begins after a newline."""
    return _byte_level(bundles.stepper(name, tokens=CHARACTERS, start_token=start_token))


def pair_model(name: str = "tiny-pairs") -> Draft:
    """A model of single bytes, an end token, and tokens that begin, end or go through characters."""
    odd = (b"a\xe2", b"\x82\xac", b"\xacb", b"\xf0\x9f", b"\x99\x82", b"\x82\xf0\x9f", b"the ")
    tokens = (*CHARACTERS, *("".join(CHARACTERS[byte] for byte in token) for token in odd), END)
    return _byte_level(bundles.stepper(name, tokens=tokens, start_token="Ċ", end_token=END))


def bpe_model(name: str = "tiny-bpe", tokenizer: Tokenizer | None = None) -> Draft:
    """A model of pairs of bytes that were merged over TEXT, with its tokenizer."""
    tokenizer = tokenizer or trained()
    return _byte_level(with_tokenizer(bundles.stepper(name, tokens=tokens_of(tokenizer), start_token=END), tokenizer))


def word_model(name: str = "tiny-words") -> Draft:
    """A model of words and spaces, with its tokenizer and an unknown token."""
    tokenizer = words()
    draft = bundles.stepper(name, tokens=tokens_of(tokenizer), start_token=None, unknown_token=UNKNOWN)
    return with_tokenizer(draft, tokenizer)


def letter_model(name: str = "tiny-letters") -> Draft:
    """A model of letters with a tokenizer that leaves out what it does not know."""
    tokenizer = letters()
    return with_tokenizer(bundles.stepper(name, tokens=tokens_of(tokenizer), start_token=None), tokenizer)


@cache
def trained() -> Tokenizer:
    """Byte-level pairs (Sennrich et al. 2016), trained on TEXT."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return tokenizer


def words() -> Tokenizer:
    """Whole words, and the spaces between them."""
    known = ("the", "cat", "hat", " ", ",", ".", UNKNOWN)
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(known)}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
    return tokenizer


def letters() -> Tokenizer:
    """Letters and one pair of them."""
    return Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2, "é": 3}, [("a", "b")]))


def tokens_of(tokenizer: Tokenizer) -> Sequence[str]:
    """The tokens by id."""
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def with_tokenizer(draft: Draft, tokenizer: Tokenizer) -> Draft:
    """The same, with a tokenizer in the bundle."""
    draft.bundle.sequence.vocabulary.tokenizer = True
    draft.files[TOKENIZER] = tokenizer.to_str().encode()
    return draft


def write_all(models_folder: Path) -> None:
    """Write one of each."""
    for draft in (byte_model(), pair_model(), bpe_model(), word_model(), letter_model()):
        draft.write(models_folder)


def _byte_level(draft: Draft) -> Draft:
    draft.bundle.sequence.vocabulary.byte_level = True
    return draft
