"""Values to messages and back."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rhapsode.v1 import bundle_pb2, image_pb2, model_pb2, text_pb2
from rhapsode_client import Client, ImageFormat, InterpolationMethod, InvalidRequest, Picture
from rhapsode_client.convert import images, models, text
from rhapsode_client.convert.pictures import input_image
from rhapsode_client.types import Capability, FinishReason, LatentPrior, ModelKind, StopReason


def png(size: tuple[int, int] = (3, 2)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_an_option_that_there_is_not_is_refused_as_by_any_call() -> None:
    with Client("unix:nowhere") as client:
        with pytest.raises(TypeError, match="'temprature'"):
            client.stream_text("m", "hello", temprature=0.5)  # type: ignore[call-arg]  # the mistake under test
        with pytest.raises(TypeError, match="'sede'"):
            client.stream_images("m", sede=1)  # type: ignore[call-arg]  # likewise
        with pytest.raises(TypeError, match="'frames'"):
            client.interpolate("m", [1, 2], frames=3)  # type: ignore[call-arg]  # likewise


def test_every_text_option_reaches_its_field() -> None:
    message = text.generation(
        "m@2",
        "hello",
        {
            "temperature": 0.5,
            "top_k": 3,
            "top_p": 0.25,
            "min_p": 0.125,
            "repetition_penalty": 1.5,
            "presence_penalty": 2.0,
            "frequency_penalty": 4.0,
            "logit_bias": {7: -1.0},
            "max_tokens": 9,
            "stop_sequences": ["x", "y"],
            "seed": 2**64 - 1,
            "candidate_count": 2,
            "logprobs": 0,
            "echo": True,
            "received_token_ids": (1, 2),
        },
    )
    sampling = text_pb2.Sampling(
        temperature=0.5,
        top_k=3,
        top_p=0.25,
        min_p=0.125,
        repetition_penalty=1.5,
        presence_penalty=2.0,
        frequency_penalty=4.0,
        logit_bias=[text_pb2.LogitBias(token_id=7, bias=-1.0)],
    )
    assert message == text_pb2.TextGeneration(
        model="m@2",
        text="hello",
        sampling=sampling,
        stopping=text_pb2.Stopping(max_tokens=9, stop_sequences=["x", "y"]),
        seed=2**64 - 1,
        candidate_count=2,
        logprobs=0,
        echo=True,
        received_token_ids=[1, 2],
    )


def test_what_is_left_out_stays_unset() -> None:
    message = text.generation("m", np.array([1, 2]), {})  # type: ignore[arg-type]  # arrays of ids are sequences of them
    assert list(message.token_ids.ids) == [1, 2]
    unset = ("seed", "candidate_count", "logprobs")
    assert not any(message.HasField(name) for name in unset)  # type: ignore[arg-type]  # mypy wants literals
    assert not message.stopping.HasField("max_tokens")
    assert not message.sampling.HasField("temperature")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"max_tokens": 2**32}, "max_tokens"),
        ({"max_tokens": 10**12}, "max_tokens"),
        ({"candidate_count": 1.5}, "candidate_count"),
        ({"received_token_ids": [0, -3]}, "received_token_ids[1]"),
        ({"stop_sequences": ["\ud800"]}, "stop_sequences[0]"),
    ],
)
def test_what_a_field_cannot_carry_is_named(options: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        text.generation("m", "", options)  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.field_violations[0].field == field


def test_bounds_are_the_servers_to_judge() -> None:
    message = text.generation("", "", {"temperature": float("nan"), "candidate_count": 2**32 - 1})
    assert np.isnan(message.sampling.temperature)


def test_a_text_reply_becomes_a_result() -> None:
    reply = text_pb2.GenerateTextResponse(
        started=text_pb2.TextStarted(seed=1, model="m", version=2, fingerprint="f", prompt_token_count=3),
        candidates=[
            text_pb2.TextChunk(
                text="ab",
                token_ids=[4, 5],
                logprobs=[
                    text_pb2.PositionLogprobs(logprob=-1.0, top=[text_pb2.TokenLogprob(token_id=9, logprob=-0.5)])
                ],
            ),
            text_pb2.TextChunk(candidate=1, text="c", token_ids=[6]),
        ],
        finished=[
            text_pb2.TextFinished(reason=text_pb2.FINISH_REASON_END_TOKEN),
            text_pb2.TextFinished(candidate=1, reason=99),  # type: ignore[arg-type]  # of a server newer than we are
        ],
    )
    result = text.result(reply)
    assert (result.text, result.started.version) == ("ab", 2)
    first, second = result.candidates
    assert first.token_ids == (4, 5)
    assert (first.logprobs[0].top[0].token_id, first.logprobs[0].top[0].logprob) == (9, -0.5)
    assert (first.finished.reason, second.finished.reason) == (FinishReason.END_TOKEN, FinishReason.UNKNOWN)
    assert second.text == "c"


def test_every_image_option_reaches_its_field() -> None:
    message = images.generation(
        "m",
        {
            "count": 3,
            "seed": 4,
            "first_index": 5,
            "image_class": "dot",
            "format": ImageFormat.WEBP,
            "return_latents": True,
        },
    )
    assert message == image_pb2.ImageGeneration(
        model="m",
        count=3,
        seed=4,
        first_index=5,
        image_class=image_pb2.ImageClass(name="dot"),
        format=image_pb2.IMAGE_FORMAT_WEBP,
        return_latents=True,
    )
    assert list(images.generation("m", {"seeds": [1, 2]}).seeds.seeds) == [1, 2]
    assert [list(latent.values) for latent in images.generation("m", {"latents": np.eye(2)}).latents.latents] == [
        [1, 0],
        [0, 1],
    ]
    assert images.generation("m", {"image_class": 0}).image_class == image_pb2.ImageClass(id=0)


@pytest.mark.parametrize(
    "options",
    [{"seed": 1, "seeds": [2]}, {"latents": [[1.0], [1.0, 2.0]]}, {"latents": [1.0]}, {"count": -1}],
)
def test_image_options_that_no_message_can_carry(options: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        images.generation("m", options)  # type: ignore[arg-type]  # wrong on purpose


def test_keyframes_of_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png())
    picture = Picture(0, ImageFormat.RAW_UINT8, 1, 1, 3, b"abc", None)
    pixels = np.zeros((2, 2, 3), dtype=np.uint8)
    request = images.walk(
        "m",
        [7, np.int64(8), [0.5, 1.5], np.array([2.0]), png(), path, picture, pixels, pixels.astype(np.float32)],  # type: ignore[list-item]  # numpy's whole numbers serve too
        {"method": InterpolationMethod.SLERP, "frames_per_segment": 2, "loop": True},
    )
    kinds = [keyframe.WhichOneof("point") for keyframe in request.keyframes]
    assert kinds == ["seed", "seed", "latent", "latent", "image", "image", "image", "image", "image"]
    assert list(request.keyframes[2].latent.values) == [0.5, 1.5]
    assert request.keyframes[5].image.data == png()
    assert request.keyframes[8].image.format == image_pb2.IMAGE_FORMAT_RAW_FLOAT32
    assert (request.method, request.frames_per_segment, request.loop) == (
        image_pb2.INTERPOLATION_METHOD_SLERP,
        2,
        True,
    )


def test_pictures_of_every_kind() -> None:
    assert input_image("i", png()).format == image_pb2.IMAGE_FORMAT_UNSPECIFIED
    pillow = input_image("i", Image.open(io.BytesIO(png())))
    assert Image.open(io.BytesIO(pillow.data)).size == (3, 2)
    assert input_image("i", np.zeros((2, 2), dtype=np.uint8)).data == bytes(4)
    for wrong in (3, np.zeros((2, 2), dtype=np.int64), np.zeros(3, dtype=np.uint8)):
        with pytest.raises(InvalidRequest):
            input_image("i", wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_pictures_give_their_pixels() -> None:
    encoded = Picture(0, ImageFormat.PNG, 3, 2, 3, png(), None)
    assert encoded.array().shape == (2, 3, 3)
    assert encoded.array()[0, 0].tolist() == [255, 0, 0]
    grey = Picture(0, ImageFormat.RAW_UINT8, 2, 1, 1, bytes([0, 255]), None)
    assert grey.array().tolist() == [[[0], [255]]]
    assert (grey.image().mode, grey.image().size) == ("L", (2, 1))
    values = np.array([0.5, -1.0], dtype="<f4")
    raw = Picture(0, ImageFormat.RAW_FLOAT32, 2, 1, 1, values.tobytes(), None)
    assert raw.array().ravel().tolist() == [0.5, -1.0]
    with pytest.raises(ValueError, match="array"):
        raw.image()


def test_latents_of_replies_are_arrays() -> None:
    message = image_pb2.Image(index=1, latent=image_pb2.Latent(values=[0.5, 1.5]), data=b"x")
    picture = images.picture(message, offset=2)
    assert picture.index == 3
    assert picture.latent is not None
    assert picture.latent.dtype == np.float32
    assert picture.latent.tolist() == [0.5, 1.5]


def test_a_model_keeps_everything() -> None:
    message = model_pb2.Model(
        name="m",
        version=3,
        kind=bundle_pb2.MODEL_KIND_AUTOENCODER,
        capabilities=[model_pb2.CAPABILITY_ENCODE_IMAGES, 99],  # type: ignore[list-item]  # of a newer server
        latent=bundle_pb2.LatentSpec(size=8, prior=bundle_pb2.LATENT_PRIOR_UNIFORM, mean_radius=2.5),
        classes=["a"],
        limits=model_pb2.ModelLimits(images_per_reply=4),
        runtime=model_pb2.ModelRuntime(provider="CPUExecutionProvider", batch_invariant=True, fingerprint="f"),
        training=bundle_pb2.Training(
            data=bundle_pb2.DataSet(name="d", licence="l"),
            settings={"k": "v"},
            stop_reason=bundle_pb2.STOP_REASON_EQUILIBRIUM,
        ),
        metrics=[bundle_pb2.Metric(name="x", value=1.0, baseline=0.0)],
    )
    model = models.model(message)
    assert model.kind is ModelKind.AUTOENCODER
    assert model.capabilities == (Capability.ENCODE_IMAGES, Capability.UNKNOWN)
    assert model.latent is not None
    assert (model.latent.size, model.latent.prior) == (8, LatentPrior.UNIFORM)
    assert (model.image, model.sequence) == (None, None)
    assert model.limits.images_per_reply == 4
    assert model.training.stop_reason is StopReason.EQUILIBRIUM
    assert model.training.settings == {"k": "v"}
    assert model.metrics[0].baseline == 0.0


def test_start_and_end_tokens_may_be_absent() -> None:
    vocabulary = bundle_pb2.Vocabulary(tokens=["a", "b"], start_token=0)
    message = model_pb2.Model(sequence=bundle_pb2.SequenceSpec(vocabulary=vocabulary))
    sequence = models.model(message).sequence
    assert sequence is not None
    assert (sequence.tokens, sequence.start_token, sequence.end_token) == (("a", "b"), 0, None)
