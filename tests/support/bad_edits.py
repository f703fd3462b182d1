"""Requests to edit pictures that must be refused, and how."""

from typing import Any

import grpc

from rhapsode.v1 import image_pb2
from rhapsode.v1.image_pb2 import AttributeEdit, EditImagesRequest, FitAttributeRequest, InputImage, Keyframe, Latents
from support.bad_requests import FACES, INF, NAN, RIGHT, WRONG, Case, image_case, walk_case

FAILED = grpc.StatusCode.FAILED_PRECONDITION
FAR = image_pb2.Latent(values=[0.0] * 7 + [1000.0])
PICTURE = InputImage(data=bytes(192), format=image_pb2.IMAGE_FORMAT_RAW_UINT8)
HAT = AttributeEdit(name="hat")


def edit_case(name: str, field: str, words: str = "", **fields: Any) -> Case:
    given = {"model": FACES, "sources": [Keyframe(seed=1)]} | fields
    return Case(name, EditImagesRequest(**given), field, words)


def fit_case(name: str, field: str, words: str = "", **fields: Any) -> Case:
    given = {"model": FACES, "present": [PICTURE], "absent": [PICTURE]} | fields
    return Case(name, FitAttributeRequest(**given), field, words)


def unsupported(name: str, request: Any) -> Case:
    return Case(name, request, reason="UNSUPPORTED", code=FAILED)


STRENGTHS = [
    edit_case(f"a strength of {value}", "edits[1].strength", edits=[HAT, AttributeEdit(name="hat", strength=value)])
    for value in (NAN, INF, -INF, 101.0, -100.5)
]
DIRECTIONS = [
    edit_case("an unknown attribute", "edits[0].name", "one of", edits=[AttributeEdit(name="moustache")]),
    edit_case("an empty name", "edits[0].name", "one of", edits=[AttributeEdit(name="")]),
    edit_case("a name too long", "edits[0].name", "64 bytes", edits=[AttributeEdit(name="x" * 65)]),
    edit_case("no direction", "edits[0]", "a name or a vector", edits=[AttributeEdit(strength=1)]),
    edit_case("a short vector", "edits[0].vector.values", "8", edits=[AttributeEdit(vector=WRONG)]),
    edit_case("an empty vector", "edits[0].vector.values", "1 to", edits=[AttributeEdit(vector=image_pb2.Latent())]),
    edit_case(
        "a vector with NaN",
        "edits[0].vector.values[7]",
        "finite",
        edits=[AttributeEdit(vector=image_pb2.Latent(values=[0.0] * 7 + [NAN]))],
    ),
    edit_case("17 edits", "edits", "0 to 16", edits=[HAT] * 17),
    edit_case(
        "an unknown attribute of one source",
        "sources[1].edits[0].name",
        sources=[Keyframe(seed=1), Keyframe(seed=1, edits=[AttributeEdit(name="moustache")])],
    ),
    image_case("an unknown attribute of a seed", "generation.attributes[0].name", attributes=[AttributeEdit(name="x")]),
    image_case(
        "NaN of a seed", "generation.attributes[0].strength", attributes=[AttributeEdit(name="hat", strength=NAN)]
    ),
    image_case(
        "a short vector of a seed", "generation.attributes[0].vector.values", attributes=[AttributeEdit(vector=WRONG)]
    ),
    walk_case(
        "an unknown attribute of a keyframe",
        "keyframes[1].edits[0].name",
        keyframes=[Keyframe(seed=1), Keyframe(seed=2, edits=[AttributeEdit(name="moustache")])],
    ),
]
FAR_AWAY = [
    edit_case("an edit out of bounds", "edits", "1000", edits=[AttributeEdit(vector=FAR, strength=2)]),
    edit_case(
        "edits of a source out of bounds",
        "sources[0].edits",
        "1000",
        sources=[Keyframe(latent=RIGHT, edits=[AttributeEdit(vector=FAR, strength=100)])],
    ),
    edit_case(
        "edits of a picture out of bounds",
        "sources[0].edits",
        "1000",
        sources=[Keyframe(image=PICTURE, edits=[AttributeEdit(vector=FAR, strength=100)])],
    ),
    image_case("a drawn latent out of bounds", "generation.attributes", attributes=[AttributeEdit(vector=FAR)]),
    image_case(
        "a given latent out of bounds",
        "generation.attributes",
        count=None,
        latents=Latents(latents=[FAR]),
        attributes=[AttributeEdit(vector=FAR, strength=0.1)],
    ),
]
NOTHING = [
    edit_case("no source", "sources", "1 to 256", sources=[]),
    edit_case("257 sources", "sources", "1 to 256", sources=[Keyframe(seed=1)] * 257),
    edit_case("an empty source", "sources[0]", "must have", sources=[Keyframe()]),
    edit_case("a source that is no picture", "sources[0].image.data", sources=[Keyframe(image=InputImage(data=b"x"))]),
    edit_case("an edit without a class", "image_class", "must be set", model="tiny-shapes"),
    fit_case("nothing with it", "present", "1 to 256", present=[]),
    fit_case("nothing without it", "absent", "1 to 256", absent=[]),
    fit_case("257 without it", "absent", "1 to 256", absent=[PICTURE] * 257),
    fit_case("no picture", "absent[1].data", absent=[PICTURE, InputImage(data=b"x")]),
]
LACKING = [
    unsupported("a fit without encoder", FitAttributeRequest(model="tiny-digits", present=[PICTURE], absent=[PICTURE])),
    unsupported(
        "a name where there are none",
        EditImagesRequest(model="tiny-digits", sources=[Keyframe(seed=1)], edits=[HAT]),
    ),
    unsupported("an edit by a text model", EditImagesRequest(model="tiny-text", sources=[Keyframe(seed=1)])),
    unsupported("a picture without encoder", EditImagesRequest(model="tiny-digits", sources=[Keyframe(image=PICTURE)])),
]
EDITS = [*STRENGTHS, *DIRECTIONS, *FAR_AWAY, *NOTHING, *LACKING]
