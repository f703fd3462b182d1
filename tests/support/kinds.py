"""Kinds of requests to the tiny model of texts, for recorders."""

from benchmarks.soak.kinds import Kind

from rhapsode.v1 import text_pb2

ENDLESS = 8192  # tokens


def stream_of_text(name: str, tokens: int, candidates: int = 1) -> Kind:
    """Streams of so many tokens."""

    def make(seed: int) -> text_pb2.StreamTextRequest:
        stopping = text_pb2.Stopping(max_tokens=tokens)
        return text_pb2.StreamTextRequest(
            generation=text_pb2.TextGeneration(
                model="tiny-text", seed=seed, candidate_count=candidates, stopping=stopping
            )
        )

    path = "/rhapsode.v1.TextService/StreamText"
    return Kind(name, "tiny-text", path, True, 1.0, make, text_pb2.StreamTextResponse, candidates)


TINY, SHORT, LONG = stream_of_text("tiny", 8), stream_of_text("short", 200), stream_of_text("long", ENDLESS, 64)
