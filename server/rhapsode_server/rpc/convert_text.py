"""A request for text → the rows that the engine steps."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from rhapsode.v1 import text_pb2
from rhapsode.v1.bundle_pb2 import Vocabulary
from rhapsode_server.config import Config
from rhapsode_server.errors import InvalidField, OutputTooLarge, UnknownToken, Unsupported
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.sampling import Sampling
from rhapsode_server.models.text import TextSpec
from rhapsode_server.rpc.classes import class_prefix
from rhapsode_server.rpc.served import Served, TextDriver
from rhapsode_server.rpc.tokenizer import Tokenizer

NEVER = -1e9  # the bias of a token that is not to be drawn: finite, and far below any logit at any temperature
SEED_BITS = 53  # of seeds that the server draws: every language's numbers hold them exactly

# Most bytes on the wire of a token id (fewer than 2²¹ tokens), of a position's own log-probability, of one of the
# likeliest tokens beside it, and of what a candidate has once.
BYTES_OF_ID = 3
BYTES_OF_LOGPROBS = 9
BYTES_OF_TOP = 11
BYTES_OF_END = 512


@dataclass(frozen=True, slots=True)
class TextJob:
    """What a request for text asks of a model.

    `prompt` is as the client gave it: no start token in it, nor the prefix of a class.
    """

    driver: TextDriver
    spec: TextSpec
    candidates: int
    prompt: tuple[int, ...]
    echo: bool

    @property
    def rows(self) -> Sequence[TextRow]:
        """A row for each candidate."""
        return [TextRow(self.spec, candidate) for candidate in range(self.candidates)]


def check_room(asked: text_pb2.TextGeneration, served: Served, config: Config) -> None:
    """Raise what the model's driver would for want of room, before anything is read."""
    driver, _ = text_parts(served)
    driver.check_room(_candidates(asked), _max_tokens(asked, config))


def text_job(asked: text_pb2.TextGeneration, served: Served, config: Config) -> TextJob:
    """Read a request that is within its bounds. Raises RequestError where it does not fit the model or itself."""
    driver, _ = text_parts(served)
    given = asked.token_ids if asked.WhichOneof("prompt") == "token_ids" else asked.text
    prefix = class_prefix(asked.class_name, "generation.class_name", served)
    prompt = tokens_of(given, "generation", served, longest_prompt(served, config) - len(prefix))
    candidates = _candidates(asked)
    max_tokens = _max_tokens(asked, config)
    spec = TextSpec(
        prompt=(*prefix, *prompt) or _start(served),
        received=_received(asked, served, candidates, max_tokens),
        sampling=_sampling(asked.sampling, served.loaded.bundle.sequence.vocabulary),
        max_tokens=max_tokens,
        stop_sequences=_stop_sequences(asked.stopping),
        seed=asked.seed if asked.HasField("seed") else secrets.randbits(SEED_BITS),
        logprobs=asked.logprobs if asked.HasField("logprobs") else None,
    )
    return TextJob(driver, spec, candidates, prompt, asked.echo)


def check_fits(job: TextJob, served: Served, config: Config) -> None:
    """Raise OutputTooLarge where a unary reply could outgrow a message, whatever is generated."""
    longest = served.tokenizer.longest_bytes if served.tokenizer else 0
    logprobs = 0 if job.spec.logprobs is None else BYTES_OF_LOGPROBS + BYTES_OF_TOP * job.spec.logprobs
    echoed = len(job.prompt) if job.echo else 0
    generated = job.spec.max_tokens - len(job.spec.received)
    candidate = BYTES_OF_END + echoed * (BYTES_OF_ID + longest) + generated * (BYTES_OF_ID + longest + logprobs)
    size = job.candidates * candidate
    if size > config.message_bytes:
        rule = f"may give {size} bytes, over the limit of {config.message_bytes}; StreamText has no such limit"
        raise OutputTooLarge("generation", rule, {"bytes": str(size), "max": str(config.message_bytes)})


def text_parts(served: Served) -> tuple[TextDriver, Tokenizer]:
    """What makes text of a model. Raises Unsupported where it makes none."""
    if served.text is None or served.tokenizer is None:
        raise Unsupported(f"{served.loaded.bundle.name} does not generate text")
    return served.text, served.tokenizer


def tokenizer_of(served: Served) -> Tokenizer:
    """What cuts text into a model's tokens. Raises Unsupported where it has none."""
    if served.tokenizer is None:
        raise Unsupported(f"{served.loaded.bundle.name} has no tokens")
    return served.tokenizer


def longest_prompt(served: Served, config: Config) -> int:
    """Most tokens in a prompt, or in a text to score: the bundle's limit or the server's, whichever is less."""
    return min(config.max_prompt_tokens, served.loaded.bundle.sequence.longest_prompt or config.max_prompt_tokens)


def tokens_of(given: str | text_pb2.TokenIds, path: str, served: Served, most: int) -> tuple[int, ...]:
    """The tokens of a text, or of the ids beside it in a message at `path`.

    Raises UnknownToken, or InvalidField where there are more than `most`.
    """
    tokenizer = tokenizer_of(served)
    longest = max(0, most)  # a server may allow less than the prefix of a class has
    too_long = f"must have at most {longest} tokens", {"max_tokens": str(longest)}
    if isinstance(given, str):
        field = f"{path}.text"
        if tokenizer.fewest(given) > longest:
            raise InvalidField(field, *too_long)
        tokens = tokenizer.encode(given, field, longest + 1)
    else:
        field, tokens = f"{path}.token_ids.ids", tuple(given.ids)
        check_known(tokens, served, field)
    if len(tokens) > longest:
        raise InvalidField(field, *too_long)
    return tokens


def _start(served: Served) -> tuple[int, ...]:
    vocabulary = served.loaded.bundle.sequence.vocabulary
    if not vocabulary.HasField("start_token"):
        unless = " without a class" if served.loaded.bundle.sequence.classes else ""
        raise InvalidField("generation.prompt", f"must not be empty{unless}: the model names no start token")
    return (vocabulary.start_token,)


def _received(asked: text_pb2.TextGeneration, served: Served, candidates: int, max_tokens: int) -> tuple[int, ...]:
    field = "generation.received_token_ids"
    received = tuple(asked.received_token_ids)
    if not received:
        return ()
    if not asked.HasField("seed"):
        raise InvalidField(field, "needs the seed of the stream that it goes on with")
    if candidates != 1:
        raise InvalidField(field, "needs a candidate_count of 1")
    if len(received) > max_tokens:
        raise InvalidField(field, f"must have at most {max_tokens} elements", {"max_length": str(max_tokens)})
    check_known(received, served, field)
    return received


def check_known(ids: Sequence[int], served: Served, field: str) -> None:
    """Raise UnknownToken, with the index, for the first id that is no token of the model."""
    size = len(served.loaded.bundle.sequence.vocabulary.tokens)
    if ids and max(ids) >= size:
        raise UnknownToken(field, next(index for index, token in enumerate(ids) if token >= size))


def _candidates(asked: text_pb2.TextGeneration) -> int:
    return asked.candidate_count if asked.HasField("candidate_count") else 1


def _max_tokens(asked: text_pb2.TextGeneration, config: Config) -> int:
    if not asked.stopping.HasField("max_tokens"):
        return config.max_tokens
    if asked.stopping.max_tokens > config.max_tokens:
        most = str(config.max_tokens)
        raise InvalidField("generation.stopping.max_tokens", f"must be in [1, {most}]", {"min": "1", "max": most})
    return asked.stopping.max_tokens


def _stop_sequences(asked: text_pb2.Stopping) -> tuple[str, ...]:
    for index, sequence in enumerate(asked.stop_sequences):
        if not sequence:
            raise InvalidField(f"generation.stopping.stop_sequences[{index}]", "must not be empty")
    return tuple(asked.stop_sequences)


def _sampling(asked: text_pb2.Sampling, vocabulary: Vocabulary) -> Sampling:
    return Sampling(
        temperature=asked.temperature if asked.HasField("temperature") else 1.0,
        top_k=asked.top_k,
        top_p=asked.top_p if asked.HasField("top_p") else 1.0,
        min_p=asked.min_p,
        repetition_penalty=asked.repetition_penalty if asked.HasField("repetition_penalty") else 1.0,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        logit_bias=_logit_bias(asked.logit_bias, vocabulary),
    )


def _logit_bias(asked: Sequence[text_pb2.LogitBias], vocabulary: Vocabulary) -> tuple[tuple[int, float], ...]:
    """Those asked for, and one that keeps the unknown token from being drawn unless it has one of its own."""
    vocabulary_size = len(vocabulary.tokens)
    biases: dict[int, float] = {}
    for index, entry in enumerate(asked):
        field = f"generation.sampling.logit_bias[{index}].token_id"
        if entry.token_id >= vocabulary_size:
            raise InvalidField(field, f"must be less than {vocabulary_size}", {"max": str(vocabulary_size - 1)})
        if entry.token_id in biases:
            raise InvalidField(field, "must not stand twice")
        biases[entry.token_id] = entry.bias
    if vocabulary.HasField("unknown_token"):
        biases.setdefault(vocabulary.unknown_token, NEVER)
    return tuple(biases.items())
