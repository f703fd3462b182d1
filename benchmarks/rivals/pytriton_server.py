"""Serves bundles by PyTriton: text as a decoupled model in static batches, pictures in dynamic batches."""

import signal
from collections.abc import Iterator

import numpy as np
from benchmarks.rivals.graphs import Decoder, Floats, Stepper, Tokens, draw, uniforms
from benchmarks.rivals.serving import BATCH_DELAY_SECONDS, LARGEST_BATCH, Serving, read
from pytriton.decorators import batch  # type: ignore[import-not-found]
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor  # type: ignore[import-not-found]
from pytriton.triton import Triton, TritonConfig  # type: ignore[import-not-found]


class Text:
    """Writes all texts of a batch together, to the length of the longest."""

    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper

    def generate(self, seed: Tokens, max_tokens: Tokens, tokens_a_message: Tokens) -> Iterator[dict[str, Tokens]]:
        """Give every row's first token, then the next so many of every row, int64 [rows, tokens] at a time."""
        longest, block = int(max_tokens.max()), int(tokens_a_message.max())
        drawn = self._tokens(np.stack([uniforms(int(one), longest) for one in seed[:, 0]]))
        yield {"tokens": next(drawn)[:, None]}
        for begin in range(1, longest, block):
            yield {"tokens": np.stack([next(drawn) for _ in range(min(block, longest - begin))], axis=1)}

    def _tokens(self, draws: Floats) -> Iterator[Tokens]:
        states = self._stepper.begin(len(draws))
        tokens = np.full(len(draws), self._stepper.start_token, dtype=np.int64)
        for column in draws.T:
            logits, states = self._stepper.step(tokens, states)
            tokens = draw(logits, column)
            yield tokens


class Images:
    """Decodes the latents of a batch in one run."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def decode(self, latent: Floats) -> dict[str, Floats]:
        """Latents [rows, size] → pictures [rows, channels, height, width]."""
        return {"image": self._decoder.decode(latent)}


def main() -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    serving = read()
    with Triton(config=_server(serving), workspace=serving.workspace) as triton:
        for name in serving.text:
            _bind_text(triton, name, Stepper(serving.models, name))
        for name in serving.images:
            _bind_images(triton, name, Decoder(serving.models, name))
        triton.serve()


def _server(serving: Serving) -> TritonConfig:
    return TritonConfig(
        grpc_address="127.0.0.1",
        grpc_port=serving.grpc_port,
        http_address="127.0.0.1",
        http_port=serving.http_port,
        allow_metrics=False,
        grpc_infer_allocation_pool_size=LARGEST_BATCH,
    )


def _bind_text(triton: Triton, name: str, stepper: Stepper) -> None:
    fields = ("seed", "max_tokens", "tokens_a_message")
    triton.bind(
        model_name=name,
        infer_func=batch(Text(stepper).generate),
        inputs=[Tensor(name=field, dtype=np.int64, shape=(1,)) for field in fields],
        outputs=[Tensor(name="tokens", dtype=np.int64, shape=(-1,))],
        config=_batching(decoupled=True),
    )


def _bind_images(triton: Triton, name: str, decoder: Decoder) -> None:
    triton.bind(
        model_name=name,
        infer_func=batch(Images(decoder).decode),
        inputs=[Tensor(name="latent", dtype=np.float32, shape=(decoder.latent_size,))],
        outputs=[Tensor(name="image", dtype=np.float32, shape=decoder.picture_shape)],
        config=_batching(decoupled=False),
    )


def _batching(decoupled: bool) -> ModelConfig:
    batcher = DynamicBatcher(
        max_queue_delay_microseconds=round(BATCH_DELAY_SECONDS * 1e6), preferred_batch_size=[LARGEST_BATCH]
    )
    return ModelConfig(max_batch_size=LARGEST_BATCH, batcher=batcher, decoupled=decoupled)


if __name__ == "__main__":
    main()
