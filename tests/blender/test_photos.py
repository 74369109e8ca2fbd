"""Photos: background images, masks, flips, and what is refused by name."""

import bpy
import numpy as np
import pytest

from blender_addon.exchange import SceneProblem, read_scene
from blender_addon.exchange.images import read_image, write_image
from blender_addon.exchange.photos import read_photo, write_photo
from tests.blender.conftest import fingerprint

MASK = np.zeros((48, 64, 3), np.float32)
MASK[10:30, 5:20] = 1


def test_first_visible_image_is_the_photo_second_the_mask(build):
    obj = build.camera(mask=write_image("Mask", MASK))
    photo, warnings = read_photo(obj)
    assert (photo.camera, photo.held_out, warnings) == ("Front", False, [])
    np.testing.assert_array_equal(photo.rgb, read_image(bpy.data.images["Front photo"])[0][..., :3])
    np.testing.assert_array_equal(photo.mask, MASK[..., 0])
    obj.data.background_images[0].show_background_image = False
    hidden, _ = read_photo(obj)
    np.testing.assert_array_equal(hidden.rgb, MASK)
    assert hidden.mask is None
    obj.data.background_images[0].show_background_image = True
    obj.data.background_images.new().image = bpy.data.images["Mask"]
    assert "3 background images" in read_photo(obj)[1][0]


def test_own_alpha_is_the_mask_and_grey_is_coverage(build):
    image = bpy.data.images.new("Cut Out", 64, 48, alpha=True)
    rgba = np.concatenate([MASK[::-1], np.ones((48, 64, 1), np.float32) * 0.5], -1)
    rgba[..., 3] = MASK[::-1, :, 0]
    image.pixels.foreach_set(rgba.ravel())
    obj = build.camera()
    write_photo(obj, image)
    np.testing.assert_array_equal(read_photo(obj)[0].mask, MASK[..., 0])
    grey = write_image("Grey", MASK)
    pixels = np.concatenate([MASK[::-1] * 0.6, np.ones((48, 64, 1), np.float32)], -1)
    grey.pixels.foreach_set(pixels.ravel())
    write_photo(obj, image, grey)
    assert read_photo(obj)[0].mask.max() == pytest.approx(0.6, abs=1e-6)


@pytest.mark.parametrize(("x", "y"), [(True, False), (False, True), (True, True)])
def test_flips_are_applied_to_photo_and_mask(build, x, y):
    obj = build.camera(mask=write_image("Mask", MASK))
    plain = read_photo(obj)[0]
    for background in obj.data.background_images:
        background.use_flip_x, background.use_flip_y = x, y
    photo = read_photo(obj)[0]
    flip = np.s_[:: -1 if y else 1, :: -1 if x else 1]
    np.testing.assert_array_equal(photo.rgb, plain.rgb[flip])
    np.testing.assert_array_equal(photo.mask, plain.mask[flip])


def test_another_aspect_than_the_scenes_is_warned_of_and_used(build):
    cameras = [build.camera(size=(32, 64)), build.camera("Side", size=(50, 50))]
    exported = read_scene(build.scene, [build.mesh()], cameras, [], texture=False)
    assert exported.scene.cameras["Front"].size == (32, 64)
    (warning,) = exported.warnings
    assert "'Front' (32 × 64), 'Side' (50 × 50)" in warning
    same = read_scene(build.scene, [bpy.data.objects["Cube"]], [build.camera("Same", (128, 96))], [], texture=False)
    assert same.warnings == []


def spoil(build, kind):
    obj = build.camera("Bad", photo=kind != "no photo")
    background = obj.data.background_images[0] if obj.data.background_images else None
    if kind == "missing file":
        image = bpy.data.images.new("Gone", 4, 4)
        image.filepath, image.source = str(build.folder / "gone.jpg"), "FILE"
        background.image = image
    elif kind == "zero size":
        path = build.folder / "empty.png"
        path.write_bytes(b"")
        background.image = bpy.data.images.load(str(path))
    elif kind == "scaled to nothing":
        background.scale = 0
    elif kind == "mask elsewhere":
        obj.data.background_images.new().image = write_image("Moved", MASK)
        obj.data.background_images[1].offset = (0.1, 0)
    elif kind == "mask size":
        obj.data.background_images.new().image = write_image("Small", MASK[:20])
    elif kind == "empty mask":
        obj.data.background_images.new().image = write_image("Empty", MASK * 0)
    return obj


BAD = {
    "no photo": "'Bad' has no photo",
    "missing file": r"'Bad'.*missing.*gone\.jpg",
    "zero size": r"'Bad'.*no pixels.*empty\.png",
    "scaled to nothing": "'Bad' has no size: set its Scale",
    "mask elsewhere": "'Bad': The mask has another Offset than its photo",
    "mask size": "'Bad' is 64 × 20",
    "empty mask": "mask of camera 'Bad' is empty",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_photos_are_named_and_nothing_changes(build, kind):
    mesh, obj = build.mesh(), spoil(build, kind)
    before = fingerprint()
    with pytest.raises(SceneProblem, match=BAD[kind]):
        read_scene(build.scene, [mesh], [obj], [], texture=True)
    assert fingerprint() == before


def test_no_camera_at_all(build):
    with pytest.raises(SceneProblem, match="no camera with a photo"):
        read_scene(build.scene, [build.mesh()], [], [], texture=True)
