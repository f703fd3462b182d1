"""Codes: a latent rounded to whole numbers, written in as few bits as its model's statistics allow, and read again.

A payload, integers little-endian unless said otherwise:

    magic     "RHC"     3 bytes
    format    1         1 byte
    mark                4 bytes   of the model: see `Codec`
    words     W         2 bytes
    code                4 W bytes, the words of a range coder, big-endian
    checksum  CRC-32    4 bytes   over everything before it

The range coder is that of the library constriction (queue.RangeEncoder, Categorical models of 24 bits). It wants
probabilities as floats, which could differ in last bits from machine to machine. Here they cannot: each is a whole
number of 2⁻²⁴, and all that the library does to them with perfect=False is to multiply their sums by a whole number
below 2²⁴ and to cut off the fraction. Products of two numbers of 24 bits are exact in double precision, so every step
is, and what reaches the coder are the same integers everywhere.
"""

import struct
import zlib

import constriction
import numpy as np
from numpy.typing import NDArray

from rhapsode_server.errors import UnreadablePayload
from rhapsode_server.models.latents import Latent

MAGIC, FORMAT = b"RHC", 1
MARK_BYTES = 4
TOTAL = 1 << 24  # what the frequencies of each number of a code sum to
_HEAD = struct.Struct("<3sB4sH")
_CHECKSUM = struct.Struct("<I")
_OVERHEAD = _HEAD.size + _CHECKSUM.size

Codes = NDArray[np.int32]


class Codec:
    """Turns latents float32 [size] into payloads and back.

    `frequencies` int32 [size, 2 reach + 1] are those of the values −reach … reach of each number, at least 1 each and
    TOTAL in each row; `step` lies between two values; `mark` tells models apart that decode a code to other pictures.
    """

    def __init__(self, step: float, frequencies: NDArray[np.int32], mark: bytes) -> None:
        self._step = step
        self._reach = frequencies.shape[1] // 2
        self._shares = frequencies / float(TOTAL)
        self._mark = mark
        self._model = constriction.stream.model.Categorical(perfect=False)

    @property
    def most_bytes(self) -> int:
        """An upper bound of a payload's size: no value takes more than 24 bits, and the coder ends in two words."""
        return _OVERHEAD + 4 * (len(self._shares) * 24 // 32 + 3)

    def compress(self, latent: Latent) -> bytes:
        """The payload of the nearest code."""
        code = self._encode(self.quantise(latent))
        head = _HEAD.pack(MAGIC, FORMAT, self._mark, len(code) // 4)
        return head + code + _CHECKSUM.pack(zlib.crc32(head + code))

    def decompress(self, payload: bytes, field: str) -> Latent:
        """The latent of a payload. Raises UnreadablePayload, naming `field`, for what `compress` never wrote."""
        code = self._code(payload, field)
        try:
            symbols = self._decode(code)
        except AssertionError as error:  # how the library says that no message has this code
            raise UnreadablePayload(field, "must hold a code that this model can have made") from error
        if self._encode(symbols) != code:
            raise UnreadablePayload(field, "must hold a code that this model can have made")
        return self.latent(symbols)

    def quantise(self, latent: Latent) -> Codes:
        """The nearest code, int32 [size], values −reach … reach."""
        steps = np.rint(latent.astype(np.float64) / self._step)
        return np.clip(steps, -self._reach, self._reach).astype(np.int32)

    def latent(self, codes: Codes) -> Latent:
        """The latent that a code stands for."""
        return (codes * self._step).astype(np.float32)

    def ramp(self) -> Latent:
        """A latent whose numbers are spread evenly over all values."""
        return self.latent(np.linspace(-self._reach, self._reach, len(self._shares)).astype(np.int32))

    def _encode(self, codes: Codes) -> bytes:
        coder = constriction.stream.queue.RangeEncoder()
        coder.encode(codes + np.int32(self._reach), self._model, self._shares)
        return bytes(coder.get_compressed().astype(">u4").tobytes())

    def _decode(self, code: bytes) -> Codes:
        coder = constriction.stream.queue.RangeDecoder(np.frombuffer(code, ">u4").astype(np.uint32))
        codes: Codes = coder.decode(self._model, self._shares) - np.int32(self._reach)
        return codes

    def _code(self, payload: bytes, field: str) -> bytes:
        """The code of a payload that is whole, and of this format and model."""
        if len(payload) < _OVERHEAD or not payload.startswith(MAGIC):
            raise UnreadablePayload(field, "must be a payload of CompressImages")
        _, version, mark, words = _HEAD.unpack_from(payload)
        if version != FORMAT:
            raise UnreadablePayload(field, f"must be of format {FORMAT}, not {version}", {"format": str(version)})
        if len(payload) != _OVERHEAD + 4 * words:
            wanted = _OVERHEAD + 4 * words
            raise UnreadablePayload(field, f"must have the {wanted} bytes that it says, not {len(payload)}")
        body, (checksum,) = payload[: -_CHECKSUM.size], _CHECKSUM.unpack(payload[-_CHECKSUM.size :])
        if zlib.crc32(body) != checksum:
            raise UnreadablePayload(field, "must be undamaged: its checksum is that of other bytes")
        if mark != self._mark:
            raise UnreadablePayload(field, "must be of this model; another one, or another version of it, made it")
        return body[_HEAD.size :]
