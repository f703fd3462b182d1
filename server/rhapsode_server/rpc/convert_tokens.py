"""Texts to cut into tokens, or tokens to put together → the reply that says both."""

from collections.abc import Sequence

from rhapsode.v1 import text_pb2
from rhapsode_server.config import Config
from rhapsode_server.errors import OutputTooLarge
from rhapsode_server.rpc.convert_text import BYTES_OF_END, BYTES_OF_ID, check_known, tokenizer_of
from rhapsode_server.rpc.served import Served

BYTES_OF_PIECE = 3  # most bytes on the wire of a piece beside its own


class TokenizeReply:
    """Gathers the inputs of one request into its reply, as long as that fits a message."""

    def __init__(self, served: Served, config: Config) -> None:
        """Raises Unsupported where the model has no tokens."""
        self._served = served
        self._tokenizer = tokenizer_of(served)
        self._most = config.message_bytes
        self._size = BYTES_OF_END
        self.tokens = 0
        """Tokens of all inputs so far."""
        self.message = text_pb2.TokenizeTextResponse(
            model=served.loaded.bundle.name, version=served.loaded.bundle.version
        )

    def take(self, given: text_pb2.TokenizeInput, path: str) -> None:
        """Take the input at `path`. Raises UnknownToken; OutputTooLarge where the reply could outgrow a message."""
        ids = self._read(given, path)
        self._make_room(ids)
        pieces = self._tokenizer.pieces(ids)
        text = b"".join(pieces).decode(errors="replace")
        self.message.tokenized.add(token_ids=ids, pieces=pieces, text=text)
        self.tokens += len(ids)

    def _read(self, given: text_pb2.TokenizeInput, path: str) -> Sequence[int]:
        if given.WhichOneof("input") == "token_ids":
            check_known(given.token_ids.ids, self._served, f"{path}.token_ids.ids")
            return given.token_ids.ids
        # One more than there is room for, since every token takes some.
        most = self._most // (BYTES_OF_ID + BYTES_OF_PIECE) + 1
        return self._tokenizer.encode(given.text, f"{path}.text", most)

    def _make_room(self, ids: Sequence[int]) -> None:
        """Pieces and text are not made before it is certain that they fit."""
        pieces, text = self._tokenizer.text_size(ids)
        self._size += BYTES_OF_END + len(ids) * (BYTES_OF_ID + BYTES_OF_PIECE) + pieces + text
        if self._size > self._most:
            rule = f"may give {self._size} bytes or more, over the limit of {self._most}; send fewer at a time"
            raise OutputTooLarge("inputs", rule, {"bytes": str(self._size), "max": str(self._most)})
