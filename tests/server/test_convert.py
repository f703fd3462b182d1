"""Requests to values and back, without a socket."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rhapsode.v1 import image_pb2
from rhapsode.v1.bundle_pb2 import ImageSpec, Vocabulary
from rhapsode.v1.image_pb2 import InputImage
from rhapsode_server.config import Config
from rhapsode_server.errors import UnknownToken
from rhapsode_server.rpc.deadlines import allowance
from rhapsode_server.rpc.image_reply import groups
from rhapsode_server.rpc.input_pictures import take
from rhapsode_server.rpc.packed import floats
from rhapsode_server.rpc.pictures import Writer, to_bytes
from rhapsode_server.rpc.tokenizer import Tokenizer
from rhapsode_server.serve.arguments import channel_arguments

SPEC = ImageSpec(height=6, width=5, channels=3, low=-1, high=1)
GREY = ImageSpec(height=6, width=5, channels=1, low=0, high=1)
FILES = (image_pb2.IMAGE_FORMAT_PNG, image_pb2.IMAGE_FORMAT_WEBP, image_pb2.IMAGE_FORMAT_JPEG)
RAW = (image_pb2.IMAGE_FORMAT_RAW_UINT8, image_pb2.IMAGE_FORMAT_RAW_FLOAT32)


@given(st.text(alphabet="abc", max_size=30))
def test_the_longest_token_that_fits_is_taken(text: str) -> None:
    tokens = ("a", "b", "c", "ab", "abc")
    ids = Tokenizer(Vocabulary(tokens=tokens)).encode(text, "prompt", 10_000)
    assert "".join(tokens[token] for token in ids) == text
    assert len(ids) == len(text.replace("abc", "3").replace("ab", "2"))


def test_no_more_of_a_text_is_read_than_was_asked_for() -> None:
    tokenizer = Tokenizer(Vocabulary(tokens=("a", "b", "ab" * 64)))
    assert len(tokenizer.encode("ab" * 2**20, "prompt", 5)) == 5
    assert tokenizer.encode("aaaa" + "€" * 2**20, "prompt", 4) == (0, 0, 0, 0)


def test_a_character_without_token_is_named_by_its_place_or_mapped() -> None:
    with pytest.raises(UnknownToken) as caught:
        Tokenizer(Vocabulary(tokens=("a",))).encode("aaxa", "prompt", 99)
    assert caught.value.metadata["index"] == "2"
    mapped = Tokenizer(Vocabulary(tokens=("a", "<unknown>"), unknown_token=1))
    assert mapped.encode("a€<unknown>", "prompt", 99) == (0, *[1] * 10)


@pytest.mark.parametrize("form", RAW)
@given(values=arrays(np.float32, (3, 6, 5), elements=st.floats(-1, 1, width=32)))
def test_a_raw_picture_comes_back_as_it_went_out(form: image_pb2.ImageFormat.ValueType, values: np.ndarray) -> None:
    (data,) = Writer(form, SPEC).write([values])
    taken = take(InputImage(data=data, format=form), SPEC, "image")
    assert not taken.converted
    tolerance = 0.0 if form == image_pb2.IMAGE_FORMAT_RAW_FLOAT32 else 1 / 255 + 1e-6
    np.testing.assert_allclose(taken.values, values, atol=tolerance, rtol=0)
    assert Writer(form, SPEC).write([taken.values]) == [data]


@pytest.mark.parametrize("spec", [SPEC, GREY])
@pytest.mark.parametrize("form", [image_pb2.IMAGE_FORMAT_PNG, image_pb2.IMAGE_FORMAT_WEBP])
def test_a_lossless_file_comes_back_as_it_went_out(form: image_pb2.ImageFormat.ValueType, spec: ImageSpec) -> None:
    values = np.random.default_rng(1).uniform(spec.low, spec.high, (spec.channels, 6, 5)).astype(np.float32)
    taken = take(InputImage(data=Writer(form, spec).write([values])[0]), spec, "image")
    np.testing.assert_array_equal(to_bytes(taken.values, spec), to_bytes(values, spec))


@pytest.mark.parametrize("form", [*FILES, *RAW])
@pytest.mark.parametrize("side", [1, 8, 64, 256])
def test_no_picture_is_larger_than_was_foretold(form: image_pb2.ImageFormat.ValueType, side: int) -> None:
    spec = ImageSpec(height=side, width=side, channels=3, low=0, high=1)
    noise = np.random.default_rng(side).integers(0, 2, (3, side, side)).astype(np.float32)
    for picture in (noise, np.random.default_rng(side).random((3, side, side), np.float32)):
        writer = Writer(form, spec)
        assert len(writer.write([picture])[0]) <= writer.most_bytes


def test_values_are_rounded_and_cut_off() -> None:
    values = np.array([-9, -1, 0, 1, 9], dtype=np.float32)
    assert to_bytes(values, SPEC).tolist() == [0, 0, 128, 255, 255]


@given(st.lists(st.integers(1, 600), max_size=30))
def test_groups_keep_order_and_stay_small(sizes: list[int]) -> None:
    made = list(groups(sizes, 512))
    assert [place for group in made for place in group] == list(range(len(sizes)))
    assert all(sum(sizes[place] for place in group) <= 512 or len(group) == 1 for group in made)
    pairs = itertools.pairwise(made)
    assert all(sum(sizes[place] for place in one) + sizes[next_one.start] > 512 for one, next_one in pairs)


@given(st.none() | st.floats(0, 1e9))
def test_a_request_gets_what_it_asks_for_up_to_the_cap(wish: float | None) -> None:
    given_time = allowance(wish, 300, 600)
    assert given_time == (300 if wish is None else min(wish, 600))


def test_channel_arguments_are_whole_and_named_once() -> None:
    arguments = channel_arguments(Config(keepalive_timeout=7, message_bytes=70_000))
    assert len(dict(arguments)) == len(arguments)
    assert dict(arguments)["grpc.http2.ping_timeout_ms"] == dict(arguments)["grpc.keepalive_timeout_ms"] == 7000
    assert dict(arguments)["grpc.max_receive_message_length"] == 70_000
    assert all(isinstance(value, int) for _, value in arguments)


@given(st.lists(st.floats(width=32), max_size=300), st.binary(max_size=40))
def test_packed_numbers_are_read_whatever_stands_behind_them(values: list[float], unknown: bytes) -> None:
    field = b"\x12" + bytes([len(unknown)]) + unknown  # field 2, which a Latent does not have
    latent = image_pb2.Latent.FromString(image_pb2.Latent(values=values).SerializeToString() + field)
    np.testing.assert_array_equal(floats(latent, len(values)), np.array(values, dtype=np.float32))
