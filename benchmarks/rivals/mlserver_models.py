"""MLServer's custom runtimes: text streamed from a continuous batcher, pictures by adaptive batching."""

from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.rivals.continuous import ContinuousBatcher
from benchmarks.rivals.graphs import Decoder, Stepper, uniforms
from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput  # type: ignore[import-not-found]


class Text(MLModel):  # type: ignore[misc]
    """Streams a text's tokens, int64 [1, tokens] a message."""

    async def load(self) -> bool:
        """Open the step graph."""
        self._batcher = ContinuousBatcher(Stepper(Path(self.settings.parameters.uri), self.name))
        return True

    async def predict_stream(self, payloads: AsyncIterator[InferenceRequest]) -> AsyncIterator[InferenceResponse]:
        """Answer the stream's first request."""
        request = await anext(payloads)
        asked = {tensor.name: int(tensor.data[0]) for tensor in request.inputs}
        draws = uniforms(asked["seed"], asked["max_tokens"])
        async for tokens in self._batcher.stream(draws, asked["tokens_a_message"]):
            output = ResponseOutput(name="tokens", datatype="INT64", shape=[1, len(tokens)], data=tokens)
            yield InferenceResponse(model_name=self.name, outputs=[output])


class Images(MLModel):  # type: ignore[misc]
    """Decodes the latents of a batch in one run."""

    async def load(self) -> bool:
        """Open the decode graph."""
        self._decoder = Decoder(Path(self.settings.parameters.uri), self.name)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Latents [rows, size] → the pictures' raw float32, one element of bytes each."""
        (latents,) = payload.inputs
        pictures = self._decoder.decode(NumpyCodec.decode_input(latents))
        # As numbers they would become Python floats one by one: half as much CPU time again for each picture.
        raw = [picture.tobytes() for picture in pictures]
        output = ResponseOutput(name="image", datatype="BYTES", shape=[len(raw), 1], data=raw)
        return InferenceResponse(model_name=self.name, outputs=[output])
