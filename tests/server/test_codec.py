"""Codes without a server: known bytes, exact sizes, and no payload but those that were made becomes a latent."""

import math
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhapsode_server.errors import UnreadablePayload
from rhapsode_server.models.codec import TOTAL, Codec
from support.codes import frequencies

SIZE, REACH = 8, 9
TABLE = frequencies(SIZE, REACH)
CODEC = Codec(0.25, TABLE, b"tiny")
LATENT = np.array([0.0, 0.3, -0.3, 1.1, -9.0, 0.12, 0.13, 2.2], np.float32)
CODE = [0, 1, -1, 4, -9, 0, 1, 9]
# Made once on an AVX-512 processor: the same bytes must come out of every release on every machine.
KNOWN = "5248430174696e79020095008e0efe5d710c3e7d0308"


def refuse(payload: bytes, words: str = "", codec: Codec = CODEC) -> None:
    with pytest.raises(UnreadablePayload) as caught:
        codec.decompress(payload, "compressed[0].payload")
    assert caught.value.field == "compressed[0].payload"
    assert words in caught.value.message


def sealed(body: bytes) -> bytes:
    """Bytes with the checksum that they need."""
    return body + struct.pack("<I", zlib.crc32(body))


def test_a_latent_becomes_the_nearest_code_cut_off_at_the_reach() -> None:
    assert CODEC.quantise(LATENT).tolist() == CODE
    assert CODEC.decompress(CODEC.compress(LATENT), "x").tolist() == [0.25 * value for value in CODE]


def test_the_bytes_are_known() -> None:
    assert CODEC.compress(LATENT).hex() == KNOWN


@given(codes=st.lists(st.integers(-REACH, REACH), min_size=SIZE, max_size=SIZE))
def test_every_code_comes_back_in_about_the_bits_that_its_probability_allows(codes: list[int]) -> None:
    payload = CODEC.compress(0.25 * np.array(codes, np.float32))
    assert (CODEC.decompress(payload, "x") / 0.25).tolist() == codes
    bits = -sum(math.log2(TABLE[place, code + REACH] / TOTAL) for place, code in enumerate(codes))
    assert len(payload) <= 14 + 4 * math.ceil((bits + 33) / 32)
    assert len(payload) <= CODEC.most_bytes


@pytest.mark.parametrize("size", [1, 7, 64, 4096])
@pytest.mark.parametrize("reach", [1, 100])
def test_the_bound_of_the_size_holds_for_the_rarest_code(size: int, reach: int) -> None:
    rare = np.ones((size, 2 * reach + 1), np.int32)
    rare[:, 0] = TOTAL - 2 * reach
    codec = Codec(1.0, rare, b"rare")
    payload = codec.compress(np.full(size, reach, np.float32))
    assert codec.decompress(payload, "x").tolist() == [reach] * size
    assert 2 * size < len(payload) <= codec.most_bytes


def test_every_probability_is_exact_in_every_step() -> None:
    """What the library does to a table, once in whole numbers and once in doubles."""
    shares = TABLE / float(TOTAL)
    scale = TOTAL - TABLE.shape[1]
    in_doubles = np.floor(np.cumsum(shares, axis=1) * scale)
    in_integers = [[total * scale // TOTAL for total in np.cumsum(row).tolist()] for row in TABLE]
    assert in_doubles.tolist() == in_integers


def test_no_flipped_bit_or_byte_is_read() -> None:
    payload = CODEC.compress(LATENT)
    for place in range(len(payload)):
        for flip in range(1, 256):
            damaged = bytearray(payload)
            damaged[place] ^= flip
            refuse(bytes(damaged))


def test_no_part_of_a_payload_is_read_and_nothing_longer() -> None:
    payload = CODEC.compress(LATENT)
    for end in range(len(payload)):
        refuse(payload[:end])
    for more in (b"\0", b"\0" * 4, payload, bytes(1 << 20)):
        refuse(payload + more, "bytes that it says")


def test_what_is_no_payload_is_not_read() -> None:
    refuse(bytes(1 << 20), "must be a payload of CompressImages")
    refuse(b"\x89PNG\r\n\x1a\n" + bytes(99), "must be a payload of CompressImages")
    refuse(sealed(b"RHC\x02tiny\x00\x00"), "must be of format 1, not 2")
    refuse(Codec(0.25, TABLE, b"huge").compress(LATENT), "another one, or another version of it, made it")


@settings(max_examples=300)
@given(words=st.binary(max_size=64).map(lambda data: data[: len(data) // 4 * 4]))
def test_a_code_that_was_never_made_is_refused_though_its_checksum_is_right(words: bytes) -> None:
    payload = sealed(b"RHC\x01tiny" + struct.pack("<H", len(words) // 4) + words)
    try:
        latent = CODEC.decompress(payload, "x")
    except UnreadablePayload:
        return
    assert CODEC.compress(latent) == payload
