"""Requests against the bounds in the .proto files."""

import math
import time
from collections.abc import Iterator

import numpy as np
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st

from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode.v1.bounds_pb2 import bounds
from rhapsode.v1.image_pb2 import Latent, Latents
from rhapsode.v1.text_pb2 import LogitBias, Sampling, Stopping
from rhapsode_server.errors import InvalidField
from rhapsode_server.rpc.bounds import BoundsChecker
from support.requests import images, text

CHECKER = BoundsChecker()


def offence(asked: text_pb2.TextGeneration) -> InvalidField | None:
    try:
        CHECKER.check(text_pb2.GenerateTextRequest(generation=asked))
    except InvalidField as error:
        return error
    return None


@given(st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True, width=32))
def test_every_float_is_a_temperature_or_refused(value: float) -> None:
    error = offence(text(sampling=Sampling(temperature=value)))
    if math.isfinite(value) and 0 <= value <= 100:
        assert error is None
    else:
        assert error is not None
        assert error.field == "generation.sampling.temperature"


@given(st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True, width=32))
def test_top_p_excludes_zero_and_includes_one(value: float) -> None:
    assert (offence(text(sampling=Sampling(top_p=value))) is None) == (0 < value <= 1)


def test_a_bound_that_single_precision_rounds_down_is_within() -> None:
    least = float(np.float32(0.01))
    assert least < 0.01
    assert offence(text(sampling=Sampling(repetition_penalty=0.01))) is None
    error = offence(text(sampling=Sampling(repetition_penalty=float(np.nextafter(np.float32(0.01), np.float32(0))))))
    assert error is not None
    assert error.metadata["min"] == "0.01"


@given(st.integers(0, 2**32 - 1))
def test_whole_numbers(value: int) -> None:
    assert (offence(text(candidate_count=value)) is None) == (1 <= value <= 64)
    assert (offence(text(logprobs=value)) is None) == (value <= 20)


@given(st.lists(st.floats(width=32), min_size=1, max_size=40))
def test_the_first_bad_number_of_a_long_list_is_named(values: list[float]) -> None:
    request = image_pb2.DecodeLatentsRequest(model="m", latents=[Latent(values=[0.0]), Latent(values=values)])
    bad = [place for place, value in enumerate(values) if not (math.isfinite(value) and abs(value) <= 1000)]
    if not bad:
        CHECKER.check(request)
        return
    with pytest.raises(InvalidField) as caught:
        CHECKER.check(request)
    assert caught.value.field == f"latents[1].values[{bad[0]}]"


def test_an_absent_optional_field_is_within_its_bounds() -> None:
    assert offence(text_pb2.TextGeneration(model="m")) is None


def test_a_rule_tells_its_bounds_to_people_and_machines() -> None:
    error = offence(text(sampling=Sampling(top_p=2)))
    assert error is not None
    assert error.message == "generation.sampling.top_p must be in (0, 1]"
    assert error.metadata == {"field": "generation.sampling.top_p", "min": "0", "max": "1"}


def test_a_path_goes_through_lists_of_messages() -> None:
    error = offence(text(sampling=Sampling(logit_bias=[LogitBias(), LogitBias(bias=1e9)])))
    assert error is not None
    assert error.field == "generation.sampling.logit_bias[1].bias"


def test_lengths_are_counted_in_bytes() -> None:
    assert offence(text(stopping=Stopping(stop_sequences=["é" * 128]))) is None
    assert offence(text(stopping=Stopping(stop_sequences=["é" * 129]))) is not None


@pytest.mark.parametrize("name", ["m", "tiny-text", "a.b_c-9@12", "0" * 64, "m@999999999"])
def test_names_that_a_model_may_have(name: str) -> None:
    CHECKER.check(model_pb2.GetModelRequest(model=name))


@given(st.text(max_size=80))
def test_a_name_is_matched_whole(name: str) -> None:
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789._-@")
    if not set(name) <= allowed or not name:
        with pytest.raises(InvalidField):
            CHECKER.check(model_pb2.GetModelRequest(model=name))


def test_numbers_without_bounds_must_still_be_finite() -> None:
    with pytest.raises(InvalidField, match="finite"):
        BoundsChecker().check(text_pb2.TokenLogprob(logprob=math.nan))


def test_a_long_latent_is_checked_quickly() -> None:
    generation = images(None, latents=Latents(latents=[Latent(values=[0.5] * 65_536)]))
    request = image_pb2.GenerateImagesRequest(generation=generation)
    CHECKER.check(request)
    began = time.process_time()
    CHECKER.check(request)
    assert time.process_time() - began < 0.1


def test_every_number_of_every_request_has_an_upper_bound_or_is_a_seed_or_an_id() -> None:
    free = {"seed", "seeds", "ids", "token_id", "id", "received_token_ids"}
    services = (text_pb2, image_pb2, model_pb2)
    requests = [
        method.input_type
        for module in services
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]
    unbounded = {
        field.full_name
        for request in requests
        for field in numbers(request)
        if field.name not in free and not field.GetOptions().Extensions[bounds].HasField("max")
    }
    assert unbounded == set()


def numbers(message: Descriptor) -> Iterator[FieldDescriptor]:
    for field in message.fields:
        if field.message_type is not None:
            yield from numbers(field.message_type)
        elif field.cpp_type not in (
            FieldDescriptor.CPPTYPE_STRING,
            FieldDescriptor.CPPTYPE_BOOL,
            FieldDescriptor.CPPTYPE_ENUM,
        ):
            yield field
