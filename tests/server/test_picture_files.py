"""Files of clients: what is read from them, what reading may cost, and that no bytes do anything else."""

import struct
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rhapsode.v1.bundle_pb2 import ImageSpec
from rhapsode.v1.image_pb2 import InputImage
from rhapsode_server.errors import InvalidField
from rhapsode_server.rpc.input_pictures import Taken, take
from rhapsode_server.rpc.picture_files import MOST_PIXELS, MOST_SCANS, MOST_SIDE

SPEC = ImageSpec(height=6, width=5, channels=3, low=-1, high=1)
GREY = ImageSpec(height=6, width=5, channels=1, low=0, high=255)


def file(picture: Image.Image, form: str = "PNG", **options: object) -> InputImage:
    written = BytesIO()
    picture.save(written, form, **options)
    return InputImage(data=written.getvalue())


def read(picture: Image.Image, spec: ImageSpec, form: str = "PNG", **options: object) -> Taken:
    return take(file(picture, form, **options), spec, "image")


@pytest.mark.parametrize("side", [int(MOST_PIXELS**0.5) + 1, 20_000])  # Pillow itself refuses the second
def test_a_picture_with_too_many_pixels_is_refused_unread(side: int) -> None:
    with pytest.raises(InvalidField, match=f"at most {MOST_PIXELS} pixels"):
        read(Image.new("1", (side, side)), SPEC)


def test_a_picture_with_too_long_a_side_is_refused_unread() -> None:
    with pytest.raises(InvalidField, match="a side"):
        read(Image.new("1", (MOST_SIDE + 1, 1)), SPEC)


def test_a_jpeg_of_very_many_scans_is_refused_unread() -> None:
    usual = file(Image.effect_noise((64, 64), 50), "JPEG", progressive=True).data
    take(InputImage(data=usual), SPEC, "image")
    start = usual.rindex(b"\xff\xda")
    last = usual[start:-2]
    with pytest.raises(InvalidField, match="scans"):
        take(InputImage(data=usual[:-2] + last * MOST_SCANS + usual[-2:]), SPEC, "image")


def test_a_transparent_picture_is_laid_on_white() -> None:
    taken = read(Image.new("RGBA", (5, 6), (255, 0, 0, 0)), SPEC)
    assert taken.converted
    assert (taken.values == 1).all()


@pytest.mark.parametrize(("mode", "key", "spec"), [("L", 0, GREY), ("RGB", (0, 0, 0), SPEC), ("I;16", 0, GREY)])
def test_a_colour_that_stands_for_transparency_is_laid_on_white(mode: str, key: object, spec: ImageSpec) -> None:
    taken = read(Image.new(mode, (5, 6), 0), spec, transparency=key)
    assert taken.converted
    assert (taken.values == spec.high).all()


def test_grey_of_sixteen_bits_is_scaled() -> None:
    values = np.linspace(0, 65535, 30).round().astype(np.uint16).reshape(6, 5)
    taken = read(Image.fromarray(values), GREY)
    assert taken.converted
    np.testing.assert_allclose(taken.values[0], values / 257, atol=0.5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_upright(orientation: int) -> None:
    values = np.arange(30, dtype=np.uint8).reshape(6, 5) * 8
    exif = Image.Exif()
    exif[0x112] = orientation
    given_file = Image.fromarray(values) if orientation < 5 else Image.fromarray(values.T.copy())
    flips = {1: values, 2: values[:, ::-1], 3: values[::-1, ::-1], 4: values[::-1]}
    turns = {5: values, 6: values[:, ::-1], 7: values[::-1, ::-1], 8: values[::-1]}
    np.testing.assert_array_equal(read(given_file, GREY, exif=exif).values[0], (flips | turns)[orientation])


@pytest.mark.parametrize(
    "exif",
    [
        b"II*\0\x08\0\0\0\2\0"
        + struct.pack("<HHI4sHHI4s", 0x112, 3, 1, b"\6\0\0\0", 0x11A, 8, 1, b"\xff\xff\0\0")
        + b"\0" * 4,
        b"IIjunkjunk",
        b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHI4s", 0x112, 11, 1, struct.pack("<f", float("nan"))) + b"\0" * 4,
    ],
)
def test_what_a_file_says_beside_its_pixels_does_not_spoil_them(exif: bytes) -> None:
    taken = read(Image.new("RGB", (5, 6), "white"), SPEC, "JPEG", exif=b"Exif\0\0" + exif)
    np.testing.assert_allclose(taken.values, 1)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_make_a_picture_or_a_refusal(data: bytes) -> None:
    with pytest.raises(InvalidField):
        take(InputImage(data=b"\x89PNG\r\n\x1a\n" + data), SPEC, "image")


def test_a_broken_file_that_pillow_stumbles_over_when_it_reads_it_again_is_refused() -> None:
    """Asked for the orientation, Pillow reads the pixels, and cannot; asked for them again, it raises TypeError."""
    data = bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000080000000808060000022a01dfa7"
        "0000000c49444154789c6360a03900000063000177640ea30000000049454e44ae426082"
    )
    with pytest.raises(InvalidField):
        take(InputImage(data=data), ImageSpec(height=8, width=8, channels=3, low=-1, high=1), "image")
