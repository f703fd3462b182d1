"""Text: options to request messages, reply messages to values."""

from collections.abc import Iterable, Mapping

from rhapsode.v1 import text_pb2 as pb
from rhapsode_client.convert.scalars import member, refuse_unknown, text, whole, wholes
from rhapsode_client.errors import UnexpectedReply
from rhapsode_client.types import (
    FinishReason,
    KeepBestText,
    PositionLogprobs,
    Prompt,
    TextCandidate,
    TextChoice,
    TextChunk,
    TextFinished,
    TextOptions,
    TextResult,
    TextStarted,
    TextTimings,
    TextUsage,
    TokenLogprob,
)


def generation(model: str, prompt: Prompt, options: TextOptions) -> pb.TextGeneration:
    """The request for text. Raises InvalidRequest where a value has the wrong type for its field."""
    refuse_unknown(options, TextOptions.__optional_keys__)
    message = pb.TextGeneration(model=text("model", model), sampling=_sampling(options), stopping=_stopping(options))
    if isinstance(prompt, str):
        message.text = text("prompt", prompt)
    else:
        message.token_ids.ids.extend(wholes("prompt", prompt))
    if "seed" in options:
        message.seed = whole("seed", options["seed"], bits=64)
    if "candidate_count" in options:
        message.candidate_count = whole("candidate_count", options["candidate_count"])
    if "logprobs" in options:
        message.logprobs = whole("logprobs", options["logprobs"])
    message.echo = options.get("echo", False)
    message.class_name = text("class_name", options.get("class_name", ""))
    if "keep_best" in options:
        message.keep_best.CopyFrom(_keep_best(options["keep_best"]))
    message.received_token_ids.extend(wholes("received_token_ids", options.get("received_token_ids", ())))
    return message


def _keep_best(asked: KeepBestText) -> pb.KeepBestText:
    return pb.KeepBestText(
        drawn=whole("keep_best.drawn", asked.drawn),
        critic=text("keep_best.critic", asked.critic),
        class_name=text("keep_best.class_name", asked.class_name),
    )


def _sampling(options: TextOptions) -> pb.Sampling:
    return pb.Sampling(
        temperature=options.get("temperature"),
        top_k=whole("top_k", options["top_k"]) if "top_k" in options else None,
        top_p=options.get("top_p"),
        min_p=options.get("min_p"),
        repetition_penalty=options.get("repetition_penalty"),
        presence_penalty=options.get("presence_penalty"),
        frequency_penalty=options.get("frequency_penalty"),
        logit_bias=_logit_bias(options.get("logit_bias", {})),
    )


def _logit_bias(biases: Mapping[int, float]) -> list[pb.LogitBias]:
    return [pb.LogitBias(token_id=whole("logit_bias", token), bias=bias) for token, bias in biases.items()]


def _stopping(options: TextOptions) -> pb.Stopping:
    sequences = options.get("stop_sequences", ())
    return pb.Stopping(
        max_tokens=whole("max_tokens", options["max_tokens"]) if "max_tokens" in options else None,
        stop_sequences=[text(f"stop_sequences[{index}]", value) for index, value in enumerate(sequences)],
    )


def started(message: pb.TextStarted) -> TextStarted:
    """What the server made of a request."""
    return TextStarted(message.seed, message.model, message.version, message.fingerprint, message.prompt_token_count)


def chunk(message: pb.TextChunk) -> TextChunk:
    """Consecutive tokens of one candidate."""
    return TextChunk(
        candidate=message.candidate,
        text=message.text,
        token_ids=tuple(message.token_ids),
        logprobs=positions(message.logprobs),
        first_token_index=message.first_token_index,
        echoed=message.echoed,
    )


def positions(messages: Iterable[pb.PositionLogprobs]) -> tuple[PositionLogprobs, ...]:
    """The log-probabilities at consecutive tokens."""
    return tuple(
        PositionLogprobs(message.logprob, tuple(TokenLogprob(top.token_id, top.logprob) for top in message.top))
        for message in messages
    )


def finished(message: pb.TextFinished) -> TextFinished:
    """The end of one candidate."""
    usage, timings, choice = message.usage, message.timings, message.choice
    return TextFinished(
        candidate=message.candidate,
        reason=member(FinishReason, pb.FinishReason.Name, message.reason, "FINISH_REASON_"),
        stop_sequence=message.stop_sequence,
        usage=TextUsage(usage.prompt_token_count, usage.generated_token_count),
        timings=TextTimings(timings.queue_seconds, timings.first_token_seconds, timings.total_seconds),
        choice=TextChoice(choice.row, choice.score) if message.HasField("choice") else None,
    )


def result(reply: pb.GenerateTextResponse) -> TextResult:
    """All candidates. Raises UnexpectedReply where the server finished none."""
    if not reply.finished:
        raise UnexpectedReply("the server's reply has no finished candidate")
    chunks = [chunk(message) for message in reply.candidates]
    ends = [finished(message) for message in reply.finished]
    return TextResult(started(reply.started), tuple(_candidate(end, chunks) for end in ends))


def _candidate(end: TextFinished, chunks: Iterable[TextChunk]) -> TextCandidate:
    own = [piece for piece in chunks if piece.candidate == end.candidate]
    return TextCandidate(
        text="".join(piece.text for piece in own),
        token_ids=tuple(token for piece in own for token in piece.token_ids),
        logprobs=tuple(position for piece in own for position in piece.logprobs),
        finished=end,
    )
