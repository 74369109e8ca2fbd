"""Pictures of photos for the panel: of files and of packed images, also of one that is removed meanwhile."""

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import thumbnails  # noqa: E402
from blender_addon.exchange.images import save_png  # noqa: E402


@pytest.fixture(autouse=True)
def freed():
    yield
    thumbnails.forget_all()


def test_a_file_a_packed_image_and_none(tmp_path):
    save_png(tmp_path / "photo.png", np.full((4, 6, 3), 0.5, np.float32))
    in_file = bpy.data.images.load(str(tmp_path / "photo.png"))
    thumbnails.icon_of(in_file)  # without a window every icon is 0
    packed = bpy.data.images.new("Packed", 700, 300)
    packed.generated_color = (1, 0, 0, 1)
    packed.pack()
    thumbnails.icon_of(packed)
    pictures = thumbnails._pictures
    assert set(pictures) == {in_file.filepath, f"{packed.session_uid} (700, 300)"}
    assert tuple(pictures[in_file.filepath].image_size) == (6, 4)
    copied = pictures[f"{packed.session_uid} (700, 300)"]
    assert tuple(copied.image_size) == (117, 50)
    assert tuple(copied.image_pixels_float[:4]) == pytest.approx((1, 0, 0, 1), abs=0.01)
    in_file.filepath = str(tmp_path / "gone.png")
    thumbnails.icon_of(in_file)
    assert len(pictures) == 2, "nothing is made of a missing file"
    bpy.data.images.remove(packed)
    assert tuple(copied.image_size) == (117, 50), "the picture is a copy"
