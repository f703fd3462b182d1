"""Files that are no pictures that a server may open: too large, cut off, or bombs."""

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image


def _png(width: int, height: int, data: bytes) -> bytes:
    """A grey PNG that claims a size, whatever its data unpack to."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _truncated_jpeg() -> bytes:
    file = BytesIO()
    values = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(values).save(file, "JPEG")
    return file.getvalue()[: file.tell() // 2]


BAD_PICTURES: list[tuple[str, bytes]] = [
    ("a PNG of 100 megapixels", _png(10_000, 10_000, zlib.compress(bytes(10_000), 9))),
    ("a PNG that claims 4 billion pixels", _png(65_535, 65_535, b"")),
    ("a JPEG that ends in the middle", _truncated_jpeg()),
    ("a bomb of 64 MiB for 65 kB", _png(16_384, 4_096, zlib.compress(bytes(64 << 20), 9))),
    ("no picture at all", bytes(99)),
]
