"""A client that is killed: a process that streams without end, and has no time to say goodbye.

Run as `python -m benchmarks.soak.mayfly ADDRESS MODEL`; it says "begun" after the first message.
"""

import sys
from subprocess import DEVNULL, PIPE, Popen

import grpc

from rhapsode.v1.text_pb2 import Stopping, StreamTextRequest, TextGeneration
from rhapsode.v1.text_pb2_grpc import TextServiceStub

TOKENS = 8_000


def killed_in_mid_stream(address: str, model: str) -> bool:
    """Start one, and kill it when it reads: whether it was given anything to read."""
    words = [sys.executable, "-m", "benchmarks.soak.mayfly", address, model]
    with Popen(words, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, text=True) as process:
        begun = process.stdout is not None and process.stdout.readline() != ""
        process.kill()
    return begun


def main() -> None:
    """Read a stream to its end, or to ours."""
    with grpc.insecure_channel(sys.argv[1]) as channel:
        generation = TextGeneration(model=sys.argv[2], seed=1, stopping=Stopping(max_tokens=TOKENS))
        for number, _ in enumerate(TextServiceStub(channel).StreamText(StreamTextRequest(generation=generation))):
            if number == 0:
                print("begun", flush=True)


if __name__ == "__main__":
    main()
