"""The library against a real server."""

import io
import math
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from rhapsode_client import (
    AsyncClient,
    Capability,
    Client,
    ImageFormat,
    InvalidRequest,
    ModelNotFound,
    OutputTooLarge,
    UnknownToken,
    Unsupported,
)


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as connected:
        yield connected


def test_models(client: Client) -> None:
    names = [model.name for model in client.models()]
    assert names == ["tiny-digits", "tiny-faces", "tiny-judge", "tiny-shapes", "tiny-text"]
    model = client.model("tiny-text@1")
    assert model.capabilities == (Capability.GENERATE_TEXT, Capability.TOKENIZE_TEXT)
    assert model.sequence is not None
    assert len(model.sequence.tokens) == 30
    assert model.limits.generated_tokens == 64
    assert model.runtime.batch_invariant


@pytest.mark.parametrize("timeout", [math.inf, 1e300])
def test_a_timeout_beyond_any_clock_is_none(client: Client, timeout: float) -> None:
    assert client.model("tiny-text", timeout=timeout).name == "tiny-text"
    assert len(list(client.stream_images("tiny-faces", count=2, timeout=timeout))) == 2


def test_streamed_text_is_the_unary_one(client: Client) -> None:
    result = client.generate_text("tiny-text", "the ", seed=9, max_tokens=50, top_k=5, logprobs=2)
    stream = client.stream_text("tiny-text", "the ", seed=9, max_tokens=50, top_k=5, logprobs=2)
    chunks = list(stream)
    (whole,) = result.candidates
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert tuple(position for chunk in chunks for position in chunk.logprobs) == whole.logprobs
    assert stream.started == result.started
    assert stream.finished[0].usage == whole.finished.usage


@pytest.mark.parametrize("received", [1, 17, 50])
def test_received_tokens_give_the_rest(client: Client, received: int) -> None:
    whole = client.generate_text("tiny-text", "the ", seed=9, max_tokens=50).candidates[0].token_ids
    rest = client.stream_text("tiny-text", "the ", seed=9, max_tokens=50, received_token_ids=whole[:received])
    assert whole[:received] + tuple(token for chunk in rest for token in chunk.token_ids) == whole
    assert rest.finished[0].usage.generated_token_count == 50 - received


def test_stop_sequences_and_several_candidates(client: Client) -> None:
    stream = client.stream_text("tiny-text", "the ", seed=2, candidate_count=3, max_tokens=64, stop_sequences=["z"])
    texts = ["", "", ""]
    for chunk in stream:
        texts[chunk.candidate] += chunk.text
    result = client.generate_text("tiny-text", "the ", seed=2, candidate_count=3, max_tokens=64, stop_sequences=["z"])
    assert [candidate.text for candidate in result.candidates] == texts
    assert [end.candidate for end in stream.finished] == [0, 1, 2]


def test_a_seeds_later_pictures_stand_alone(client: Client) -> None:
    pictures = list(client.stream_images("tiny-faces", seed=4, count=5, format=ImageFormat.RAW_UINT8))
    late = client.generate_images("tiny-faces", seed=4, first_index=3, count=2, format=ImageFormat.RAW_UINT8)
    assert [picture.index for picture in pictures] == [0, 1, 2, 3, 4]
    assert [picture.data for picture in late.pictures] == [picture.data for picture in pictures[3:]]
    seeds = client.generate_images("tiny-faces", seeds=[9, 4], format=ImageFormat.RAW_UINT8)
    assert seeds.pictures[1].data == pictures[0].data


def test_the_middle_of_a_walk_is_the_picture_of_the_middle(client: Client) -> None:
    faces = client.generate_images("tiny-faces", seeds=[1, 2]).pictures
    first, second = (encoding.mean for encoding in client.encode_images("tiny-faces", faces))
    frames = list(
        client.interpolate(
            "tiny-faces", faces, frames_per_segment=2, format=ImageFormat.RAW_FLOAT32, return_latents=True
        )
    )
    middle = first + np.float32(0.5) * (second - first)
    (decoded,) = client.decode_latents("tiny-faces", [middle], format=ImageFormat.RAW_FLOAT32)
    assert len(frames) == 3
    assert frames[1].data == decoded.data
    assert frames[1].latent is not None
    assert frames[1].latent.tobytes() == middle.tobytes()


def test_a_picture_of_another_size_is_converted(client: Client) -> None:
    buffer = io.BytesIO()
    Image.new("L", (20, 30), 128).save(buffer, "JPEG")
    fitting = np.full((8, 8, 3), 128, dtype=np.uint8)
    converted, fit = client.encode_images("tiny-faces", [buffer.getvalue(), fitting])
    assert (converted.converted, fit.converted) == (True, False)
    assert fit.mean.shape == fit.log_variance.shape == (8,)


def test_classes(client: Client) -> None:
    by_name = client.generate_images("tiny-shapes", seed=1, image_class="bar").pictures[0]
    by_index = client.generate_images("tiny-shapes", seed=1, image_class=1).pictures[0]
    assert by_name.data == by_index.data


def test_errors(client: Client) -> None:
    with pytest.raises(ModelNotFound):
        client.model("nobody")
    with pytest.raises(UnknownToken) as unknown:
        client.generate_text("tiny-text", "the Ω")
    assert unknown.value.field_violations[0].field == "generation.text"
    with pytest.raises(InvalidRequest, match="temperature"):
        list(client.stream_text("tiny-text", "a", temperature=-1.0))
    with pytest.raises(Unsupported):
        client.encode_images("tiny-digits", [b"x"])
    with pytest.raises(OutputTooLarge, match="StreamImages"):
        client.generate_images("tiny-faces", count=90_000)
    assert client.generate_text("tiny-text", "a", max_tokens=3).text


async def test_the_asynchronous_client_gives_the_same(address: str, client: Client) -> None:
    async with AsyncClient(address) as asynchronous:
        assert await asynchronous.models() == client.models()
        assert (await asynchronous.model("tiny-text")).name == "tiny-text"
        text = await asynchronous.generate_text("tiny-text", "a", seed=1, max_tokens=30)
        chunks = [chunk.text async for chunk in asynchronous.stream_text("tiny-text", "a", seed=1, max_tokens=30)]
        pictures = (await asynchronous.generate_images("tiny-faces", seed=1, count=2)).pictures
        streamed = [picture async for picture in asynchronous.stream_images("tiny-faces", seed=1, count=2)]
        encoded = await asynchronous.encode_images("tiny-faces", pictures)
        with pytest.raises(ModelNotFound):
            await asynchronous.model("nobody")
    assert text.text == "".join(chunks) == client.generate_text("tiny-text", "a", seed=1, max_tokens=30).text
    assert [picture.data for picture in pictures] == [picture.data for picture in streamed]
    assert np.array_equal(encoded[0].mean, client.encode_images("tiny-faces", pictures)[0].mean)
