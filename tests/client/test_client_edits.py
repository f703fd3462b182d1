"""Edits by the library: values to messages, streams that break, and a real server."""

from pathlib import Path

import numpy as np
import pytest

from client.scripted import Break, Script, serving
from rhapsode.v1 import image_pb2
from rhapsode_client import (
    AsyncClient,
    Capability,
    ChannelSettings,
    Client,
    Edit,
    Edited,
    ImageFormat,
    InvalidRequest,
    Picture,
    Unsupported,
)
from rhapsode_client.convert import edits, images
from rhapsode_client.types import Keyframe
from support.bundles import ATTRIBUTES, directions

HAT = directions()["hat"]
RAW = ImageFormat.RAW_FLOAT32


def test_every_option_of_an_edit_reaches_its_field() -> None:
    sources: list[Keyframe] = [Edited(3, [Edit("hat", -1.5)]), [0.5, 0.25], Edited(b"png", [])]
    message = images.edit_request(
        "m@2", sources, [Edit([1.0, 2.0])], {"image_class": "cat", "format": RAW, "return_latents": True}
    )
    assert message == image_pb2.EditImagesRequest(
        model="m@2",
        sources=[
            image_pb2.Keyframe(seed=3, edits=[image_pb2.AttributeEdit(name="hat", strength=-1.5)]),
            image_pb2.Keyframe(latent=image_pb2.Latent(values=[0.5, 0.25])),
            image_pb2.Keyframe(image=image_pb2.InputImage(data=b"png")),
        ],
        edits=[image_pb2.AttributeEdit(vector=image_pb2.Latent(values=[1.0, 2.0]))],
        image_class=image_pb2.ImageClass(name="cat"),
        format=image_pb2.IMAGE_FORMAT_RAW_FLOAT32,
        return_latents=True,
    )


def test_walks_and_generations_take_edits_too() -> None:
    walk = images.walk("m", [Edited(1, [Edit("hat")]), 2], {})
    assert walk.keyframes[0].edits[0] == image_pb2.AttributeEdit(name="hat")
    generation = images.generation("m", {"seed": 1, "attributes": [Edit("hat", 0.0)]})
    assert list(generation.attributes) == [image_pb2.AttributeEdit(name="hat", strength=0.0)]


def test_what_is_no_edit_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidRequest, match=r"edits\[1\] must be an Edit"):
        edits.edits("edits", [Edit("hat"), "hat"])  # type: ignore[list-item]  # the mistake under test
    with pytest.raises(InvalidRequest, match=r"sources\[0\].edits\[0\].vector must have 1 dimension"):
        edits.keyframes("sources", [Edited(1, [Edit(np.eye(2))])])
    with pytest.raises(TypeError, match="'strength'"):
        images.edit_request("m", [1], [], {"strength": 2.0})  # type: ignore[typeddict-unknown-key]  # likewise


def test_edits_go_on_with_the_sources_that_are_left(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(2), Break(1)])
    with serving(script, socket) as address, Client(address, eager) as client:
        sources = [Edited(seed, [Edit("hat")]) if seed % 2 else seed for seed in range(5)]
        stream = client.edit_images("m", sources, [Edit("glasses")])
        pictures = list(stream)
        assert stream.started.count == 5
    assert [picture.data.decode() for picture in pictures] == ["0[]", "1['hat']", "2[]", "3['hat']", "4[]"]
    assert [picture.index for picture in pictures] == [0, 1, 2, 3, 4]
    last = script.requests[-1]
    assert isinstance(last, image_pb2.EditImagesRequest)
    assert [source.seed for source in last.sources] == [3, 4]
    assert [edit.name for edit in last.edits] == ["glasses"]


def test_a_model_says_its_attributes(address: str) -> None:
    with Client(address) as client:
        model = client.model("tiny-faces")
        assert {attribute.name: attribute.strength for attribute in model.attributes} == dict(ATTRIBUTES)
        assert Capability.EDIT_IMAGES in model.capabilities
        assert client.model("tiny-digits").attributes == ()


def test_the_same_edit_by_three_ways(address: str) -> None:
    with Client(address) as client:
        edit = Edit("hat", 2.0)
        (edited,) = client.edit_images("tiny-faces", [7], [edit], format=RAW, return_latents=True)
        drawn = client.generate_images("tiny-faces", seed=7, format=RAW, attributes=[edit]).pictures[0]
        first, *_ = client.interpolate("tiny-faces", [Edited(7, [edit]), 1], frames_per_segment=1, format=RAW)
        start = client.generate_images("tiny-faces", seed=7, return_latents=True).pictures[0].latent
        with pytest.raises(Unsupported, match="no named attributes"):
            list(client.edit_images("tiny-digits", [7], [edit]))
    assert edited.data == drawn.data == first.data
    assert edited.latent is not None
    assert start is not None
    assert np.array_equal(edited.latent, start + np.float32(2.0) * HAT)


async def test_a_fitted_direction_can_be_used_at_once(address: str) -> None:
    with Client(address) as client:
        faces = client.generate_images("tiny-faces", seed=1, count=4).pictures
        fitted = client.fit_attribute("tiny-faces", faces[:2], faces[2:])
        pictures = list(client.edit_images("tiny-faces", [3], [Edit(fitted.vector, -0.5)]))
    async with AsyncClient(address) as asynchronous:
        again = await asynchronous.fit_attribute("tiny-faces", faces[:2], faces[2:])
        edit = Edit(again.vector, -0.5)
        others: list[Picture] = [one async for one in asynchronous.edit_images("tiny-faces", [3], [edit])]
    assert fitted.separation == again.separation
    assert np.array_equal(fitted.vector, again.vector)
    assert [picture.data for picture in pictures] == [picture.data for picture in others]
