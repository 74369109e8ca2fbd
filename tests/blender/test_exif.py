"""EXIF data as Pillow writes them, and as nobody should."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from blender_addon.exif import Exif, read_exif, turn_upright

PIXELS = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)


def encoded(suffix, orientation=None, focal=None, big=False):
    exif = Image.Exif()
    exif.endian = ">" if big else "<"
    if orientation:
        exif[0x0112] = orientation
    if focal:
        exif[0x0110] = "A camera"
        exif.get_ifd(0x8769)[0xA405] = focal
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix), exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize(("orientation", "focal"), [(6, 28), (1, 50), (None, 24), (8, None), (None, None)])
def test_reads_what_pillow_writes(tmp_path, suffix, orientation, focal):
    path = tmp_path / f"photo.{suffix}"
    path.write_bytes(encoded(suffix, orientation, focal))
    assert read_exif(path) == Exif(orientation or 1, None if suffix == "tif" else focal)  # Pillow leaves it out there


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_as_pillow_does(orientation):
    image = Image.fromarray(PIXELS)
    image.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(turn_upright(PIXELS, orientation), np.asarray(ImageOps.exif_transpose(image)))


def test_equivalent_focal_length_is_that_of_the_diagonal():
    assert Exif(focal_35mm=50).focal_px(3600, 2400) == pytest.approx(5000)
    assert Exif(focal_35mm=28).focal_px(4000, 3000) == pytest.approx(28 * 5000 / 43.2666, rel=1e-5)
    assert Exif().focal_px(3600, 2400) is None


def test_broken_files_are_photos_without_exif(tmp_path):
    """Cut off anywhere and with any byte changed: an answer, never an error."""
    path = tmp_path / "photo"
    generator = np.random.default_rng(1)
    for suffix in ("jpg", "png", "webp", "tif"):
        whole = encoded(suffix, 6, 28)
        for _ in range(300):
            spoiled = bytearray(whole[: generator.integers(0, len(whole))])
            for _ in range(3):
                if spoiled:
                    spoiled[generator.integers(0, len(spoiled))] = generator.integers(0, 256)
            path.write_bytes(spoiled)
            assert 1 <= read_exif(path).orientation <= 8
