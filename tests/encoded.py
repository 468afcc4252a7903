"""Image files byte by byte, of kinds that Pillow does not write."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

GREY_PNG, COLOUR_PNG, GREY_ALPHA_PNG, COLOUR_ALPHA_PNG = 0, 2, 4, 6


def encoded(image, kind, **options):
    """The bytes of an image file that Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def deep_png(values, colour_type, significant_bits=()):
    """A PNG of 16 bits per channel, from (H, W) or (H, W, C); `significant_bits` become its chunk sBIT."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    said = _chunk(b"sBIT", bytes(significant_bits)) if significant_bits else b""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [_chunk(b"IHDR", header), said, _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b"")]
    )


def deep_pnm(values, maximum):
    """A PGM or PPM of values up to `maximum`, more than 255."""
    magic = "P5" if values.ndim == 2 else "P6"
    return f"{magic} {values.shape[1]} {values.shape[0]} {maximum}\n".encode() + values.astype(">u2").tobytes()


def colour_tiff(values, plane_by_plane=False):
    """A TIFF of 16-bit colours (H, W, 3), not compressed."""
    height, width = values.shape[:2]
    data = [values[..., band] for band in range(3)] if plane_by_plane else [values]
    planes = [np.ascontiguousarray(plane).astype("<u2").tobytes() for plane in data]
    body, offsets = b"", []
    for plane in planes:
        offsets.append(8 + len(body))
        body += plane

    def long_list(values, code):
        nonlocal body
        place = 8 + len(body)
        body += struct.pack(f"<{len(values)}{code}", *values)
        return place

    bits = long_list([16] * 3, "H")
    counts = [len(plane) for plane in planes]
    starts, sizes = (long_list(each, "I") if plane_by_plane else each[0] for each in (offsets, counts))
    entries = [
        *((256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, bits), (259, 3, 1, 1), (262, 3, 1, 2)),
        *((273, 4, len(data), starts), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, len(data), sizes)),
        (284, 3, 1, 2 if plane_by_plane else 1),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory + bytes(4)


def turned_jpeg(image, orientation, **options):
    """A JPEG with that EXIF orientation; the pixels stay as they are."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, "JPEG", exif=exif, quality=95, **options)


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
