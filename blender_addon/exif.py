"""What a photo's EXIF data says about lens and orientation, read from the file's own bytes. No bpy, which ignores both."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_HEAD = 1 << 20  # bytes read: cameras write EXIF data near the start of the file
_ORIENTATION, _EXIF_FOLDER, _FOCAL_35MM = 0x0112, 0x8769, 0xA405
_TYPES = {3: "H", 4: "I", 13: "I"}  # of interest: unsigned numbers of 16 and 32 bits, places in the file
_DIAGONAL_35MM = float(np.hypot(36, 24))


@dataclass(frozen=True)
class Exif:
    """``orientation`` is EXIF's number, 1 for a photo stored upright; ``focal_35mm`` in millimetres, None where it is not told."""

    orientation: int = 1
    focal_35mm: float | None = None

    def focal_px(self, width: int, height: int) -> float | None:
        """Focal length in pixels of a photo of that size: "35 mm equivalent" means the same angle of view along the diagonal."""
        return None if self.focal_35mm is None else self.focal_35mm * float(np.hypot(width, height)) / _DIAGONAL_35MM


def read_exif(path: str | os.PathLike[str]) -> Exif:
    """The file's EXIF data; that of an ordinary upright photo where it has none, or broken ones.

    Knows JPEG, PNG, WebP and TIFF.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    tags: dict[int, int] = {}
    try:
        block = _tiff_block(head)
        if block:
            order = {b"II": "<", b"MM": ">"}[block[:2]]
            (first,) = struct.unpack_from(order + "I", block, 4)
            tags.update(_entries(block, order, first))
            if _EXIF_FOLDER in tags:
                tags.update(_entries(block, order, tags[_EXIF_FOLDER]))
    except (struct.error, KeyError):  # cut off or garbled: what was read before that counts
        pass
    orientation = tags.get(_ORIENTATION, 1)
    return Exif(orientation if 1 <= orientation <= 8 else 1, float(tags[_FOCAL_35MM]) if tags.get(_FOCAL_35MM) else None)


def _tiff_block(head: bytes) -> bytes:
    """The part that is laid out like a TIFF file and holds the tags; empty if there is none."""
    if head[:2] == b"\xff\xd8":
        at = 2
        while head[at : at + 1] == b"\xff" and head[at + 1] not in (0xD9, 0xDA):  # until the picture itself begins
            (length,) = struct.unpack_from(">H", head, at + 2)
            if head[at + 1] == 0xE1 and head[at + 4 : at + 10] == b"Exif\0\0":
                return head[at + 10 : at + 2 + length]
            at += 2 + length
    elif head[:8] == b"\x89PNG\r\n\x1a\n":
        return _chunk(head, 8, b"eXIf", ">I4s", 4)
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _chunk(head, 12, b"EXIF", "<4sI", 0).removeprefix(b"Exif\0\0")
    elif head[:4] in (b"II*\0", b"MM\0*"):
        return head
    return b""


def _chunk(head: bytes, at: int, wanted: bytes, layout: str, checksum: int) -> bytes:
    """The body of the first chunk of that name, in a file of chunks; empty if there is none."""
    while at + 8 <= len(head):
        pair = struct.unpack_from(layout, head, at)
        name, length = sorted(pair, key=lambda part: isinstance(part, int))
        if name == wanted:
            return head[at + 8 : at + 8 + length]
        padding = 0 if checksum else length % 2
        at += 8 + length + checksum + padding
    return b""


def _entries(block: bytes, order: str, at: int) -> Iterator[tuple[int, int]]:
    """Tags and their values, of those that hold one whole number."""
    (count,) = struct.unpack_from(order + "H", block, at)
    for index in range(count):
        tag, kind, length = struct.unpack_from(order + "HHI", block, at + 2 + 12 * index)
        if kind in _TYPES and length == 1:
            yield tag, struct.unpack_from(order + _TYPES[kind], block, at + 10 + 12 * index)[0]


def turn_upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """The image (H, W, …), row 0 at the top, turned and mirrored as EXIF's orientation asks for."""
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image
