"""Who judges a contest of texts by their class: a critic, and how it reads what another model wrote."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rhapsode.v1 import text_pb2
from rhapsode_server.errors import InvalidField, UnknownToken
from rhapsode_server.models.text_critic import TextCriticRow
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.classes import no_such_class
from rhapsode_server.rpc.classification import text_critic
from rhapsode_server.rpc.convert_text import tokenizer_of
from rhapsode_server.rpc.gathering import gathered
from rhapsode_server.rpc.served import TextCriticDriver
from rhapsode_server.rpc.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Umpire:
    """A critic of texts of at most `longest` tokens, and the id of the class that it looks for."""

    driver: TextCriticDriver
    tokenizer: Tokenizer
    longest: int
    wanted: int

    async def scores(self, texts: Sequence[str], until: float) -> Sequence[float]:
        """How likely each text is of the class; 0 where it has nothing that the critic can read."""
        read: list[tuple[int, ...]] = []
        for text in texts:
            read.append(readable(text, self.tokenizer, self.longest))
            await asyncio.sleep(0)
        judged = iter(await gathered(self.driver, [TextCriticRow(tokens) for tokens in read if tokens], until))
        return [float(next(judged)[self.wanted]) if tokens else 0.0 for tokens in read]


def umpire(asked: text_pb2.KeepBestText, catalog: Catalog) -> Umpire | None:
    """The critic that is asked for; None where the model itself judges.

    Raises ModelNotFound, Unsupported or InvalidField where there is no such critic, or it knows no such class.
    """
    field = "generation.keep_best.class_name"
    if not asked.critic:
        if asked.class_name:
            raise InvalidField("generation.keep_best.critic", "must be set beside class_name")
        return None
    chosen = catalog.find(asked.critic)
    driver, bundle = text_critic(chosen), chosen.loaded.bundle
    if not asked.class_name:
        raise InvalidField(field, "must be set beside critic")
    if asked.class_name not in bundle.classes:
        raise no_such_class(field, bundle.classes)
    wanted = list(bundle.classes).index(asked.class_name)
    return Umpire(driver, tokenizer_of(chosen), bundle.sequence.longest_prompt, wanted)


def readable(text: str, tokenizer: Tokenizer, most: int) -> tuple[int, ...]:
    """The first tokens of a text, `most` at most; without the characters that there is no token for."""
    tokens: list[int] = []
    while len(tokens) < most:
        try:
            return (*tokens, *tokenizer.encode(text, "", most - len(tokens)))
        except UnknownToken as error:
            tokens += tokenizer.encode(text[: error.index], "", most - len(tokens))
            text = text[error.index + 1 :]
    return tuple(tokens)
