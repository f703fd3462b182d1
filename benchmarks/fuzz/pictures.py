"""Files of pictures of every kind that a client may send, sound and spoilt."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from io import BytesIO
from random import Random

import numpy as np
from benchmarks.fuzz.spoil import spoilt
from PIL import Image

_PNG = b"\x89PNG\r\n\x1a\n"
_MODES = {"PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), "JPEG": ("L", "RGB", "CMYK"), "WEBP": ("RGB", "RGBA")}
_FOREIGN = ("GIF", "BMP", "TIFF", "ICO", "PPM", "TGA")  # a server may not read these
_SIZES = ((1, 1), (8, 8), (31, 5), (3, 257))


@cache
def files() -> Sequence[bytes]:
    """Sound files: every mode of every format that a server reads, small."""
    return tuple(_saved(form, mode, size) for form, modes in _MODES.items() for mode in modes for size in _SIZES)


def picture(random: Random) -> bytes:
    """A file for a server to read: strange, or spoilt, or a bomb."""
    if random.random() < 0.02:
        return random.choice(_bombs())
    data = random.choice(files() if random.random() < 0.6 else _strange())
    if random.random() < 0.2:
        return data
    changed = spoilt(data, random, random.choice([1, 1, 1, 2, 8, 40]))
    return _with_sums(changed) if random.random() < 0.7 else changed


@cache
def _strange() -> Sequence[bytes]:
    return (*_turned(), *_moving(), *(_saved(form, "RGB", (8, 8)) for form in _FOREIGN), *_claims(), b"", _PNG)


@cache
def _bombs() -> Sequence[bytes]:
    """Small files of very many pixels, at the bound of what is read and beyond."""
    return (
        _png(4096, 4096, 0, zlib.compress(bytes(4096 * 4097), 9)),
        _png(4096, 4097, 0, zlib.compress(bytes(4096 * 4097), 9)),
        _png(65_535, 256, 0, zlib.compress(bytes(1 << 24), 9)),
        _png(16_384, 4096, 0, zlib.compress(bytes(64 << 20), 9)),
        _png(8, 8, 0, zlib.compress(bytes(64 << 20), 9)),  # says little, and unpacks to much
    )


def _claims() -> Iterator[bytes]:
    """PNGs whose headers say what cannot be."""
    data = zlib.compress(bytes(99))
    for width, height in ((0, 0), (0, 8), (8, 0), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (65_535, 65_535)):
        yield _png(width, height, 0, data)
    for kind in range(8):
        yield _png(8, 8, kind, data)


def _turned() -> Iterator[bytes]:
    """Pictures with an orientation, of those that there are and of others."""
    for orientation in range(11):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for form in _MODES:
            yield _saved(form, "RGB", (8, 5), exif=exif)


def _moving() -> Iterator[bytes]:
    frames = [_drawn("RGB", (8, 8), seed) for seed in range(3)]
    for form in ("PNG", "WEBP"):
        file = BytesIO()
        frames[0].save(file, form, save_all=True, append_images=frames[1:], duration=9)
        yield file.getvalue()


def _saved(form: str, mode: str, size: tuple[int, int], **more: Image.Exif) -> bytes:
    file = BytesIO()
    _drawn(mode, size, 1).save(file, form, **more)
    return file.getvalue()


def _drawn(mode: str, size: tuple[int, int], seed: int) -> Image.Image:
    width, height = size
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    drawn = Image.fromarray(values)
    return Image.fromarray(values[..., 0].astype(np.uint16) * 257) if mode == "I;16" else drawn.convert(mode)


def _png(width: int, height: int, kind: int, data: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return _PNG + b"".join(map(_chunk, (b"IHDR", b"IDAT", b"IEND"), (head, data, b"")))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _with_sums(data: bytes) -> bytes:
    """The same with the checksums of its chunks made right, where it is a PNG: so that what is spoilt gets read."""
    if not data.startswith(_PNG):
        return data
    chunks, place = [_PNG], len(_PNG)
    while place + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        chunks.append(_chunk(data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    return b"".join(chunks)


def payload(sound: bytes, random: Random) -> bytes:
    """The payload of a compressed picture, spoilt; its checksum is made right as often as not."""
    changed = spoilt(sound, random, random.choice([1, 1, 2, 8]))
    if random.random() < 0.7 and len(changed) > 4:
        return changed[:-4] + struct.pack("<I", zlib.crc32(changed[:-4]))
    return changed
