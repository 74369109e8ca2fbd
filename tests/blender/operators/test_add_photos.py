"""Add Photos, Match Photo, Add Mask, and the list of photos, as a script and as the panel use them."""

import numpy as np
import pytest
from PIL import Image

bpy = pytest.importorskip("bpy")

from blender_addon.exchange.cameras import read_camera  # noqa: E402
from blender_addon.exchange.images import read_pixels  # noqa: E402
from blender_addon.exchange.photos import background_images, read_photo  # noqa: E402
from blender_addon.photo_list import mask_state  # noqa: E402
from blender_addon.selection import select  # noqa: E402


def photo_file(folder, name, size=(60, 40), *, focal=None, orientation=None, mode="RGB"):
    """A photo whose left upper quarter is red."""
    pixels = np.full((size[1], size[0], 4), (40, 80, 120, 255), np.uint8)
    pixels[: size[1] // 2, : size[0] // 2] = (250, 10, 10, 255)
    if mode == "RGBA":
        pixels[..., 3] = 0
        pixels[5:20, 5:20, 3] = 255
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    if focal:
        exif[0x0110] = "A camera"
        exif.get_ifd(0x8769)[0xA405] = focal
    Image.fromarray(pixels).convert(mode).save(folder / name, exif=exif, **({"quality": 95} if name.endswith("jpg") else {}))
    return folder / name


def add(folder, *names, **options):
    return bpy.ops.fit_to_photo.add_photos(directory=str(folder), files=[{"name": name} for name in names], **options)


def new_cameras():
    return [obj for obj in bpy.data.objects if obj.type == "CAMERA" and obj.name not in ("Front", "Side")]


def corners_px(obj, camera):
    """Where the corners of the object's bounding box land on the photo, (8, 2)."""
    world = np.array([obj.matrix_world @ type(obj.location)(corner) for corner in obj.bound_box])
    x, y, z = (np.c_[world, np.ones(8)] @ camera.camera_from_world.T)[:, :3].T
    return np.stack([camera.centre_px[0] - camera.focal_px[0] * x / z, camera.centre_px[1] + camera.focal_px[1] * y / z], -1)


def test_each_photo_gets_a_camera_that_sees_the_selection_whole(tmp_path, scene):
    names = [f"shot{number}.jpg" for number in (1, 2, 10)]
    for name, size in zip(names, ((60, 40), (40, 60), (50, 50)), strict=True):
        photo_file(tmp_path, name, size, focal=35)
    cube = bpy.data.objects["Cube"]
    cube.location, cube.scale = (5, 6, 7), (3, 1, 0.5)
    cube.select_set(True)
    assert add(tmp_path, "shot10.jpg", "shot2.jpg", "shot1.jpg") == {"FINISHED"}
    cameras = new_cameras()
    assert sorted(camera.name for camera in cameras) == ["shot1", "shot10", "shot2"]
    assert scene.camera.name == "shot1"
    assert bpy.data.objects["shot1"].matrix_world.translation.y < cube.location.y, "the first one stands in front"
    for camera in cameras:
        image = background_images(camera)[0].image
        read = read_camera(camera, tuple(image.size))
        np.testing.assert_allclose(read.focal_px, 35 * np.hypot(*image.size) / np.hypot(36, 24), rtol=1e-5)
        places = corners_px(cube, read)
        assert (places > 0).all()
        assert (places < np.array(image.size)).all()
        assert (np.ptp(places, axis=0) / np.array(image.size)).max() > 0.3, "and not as a dot in the distance"
    assert set(select(scene, bpy.context.view_layer).cameras) == {"Front", "Side", "shot1", "shot2", "shot10"}
    apart = [(a.location - b.location).length for a in cameras for b in cameras if a != b]
    assert min(apart) > 3


def test_without_focal_length_the_lens_stays(tmp_path):
    photo_file(tmp_path, "plain.png")
    photo_file(tmp_path, "wide.jpg", focal=20)
    add(tmp_path, "plain.png")
    add(tmp_path, "wide.jpg", use_exif_lens=False)
    assert [camera.data.lens for camera in new_cameras()] == [50, 50]


@pytest.mark.parametrize(("name", "orientation"), [(f"lying{o}.{suffix}", o) for o in range(2, 9) for suffix in ("jpg", "png")])
def test_photos_stand_upright(tmp_path, name, orientation):
    """Against Pillow: size, pixels, and nothing but the .blend is needed afterwards."""
    from PIL import ImageOps

    path = photo_file(tmp_path, name, orientation=orientation)
    before = path.read_bytes()
    add(tmp_path, name)
    image = background_images(new_cameras()[0])[0].image
    upright = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"), np.float32) / 255
    assert tuple(image.size) == upright.shape[1::-1]
    assert np.abs(read_pixels(image)[..., :3] - upright).max() < 1e-6
    assert path.read_bytes() == before
    add(tmp_path, name)
    assert len({background_images(camera)[0].image for camera in new_cameras()}) == 1, "turned once"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    path.unlink()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    kept = background_images(new_cameras()[0])[0].image
    assert np.abs(read_pixels(kept)[..., :3] - upright).mean() < (0.01 if name.endswith("jpg") else 1e-6)


def test_sixteen_bits_stay_sixteen_bits_when_turned(tmp_path):
    values = (np.arange(60 * 40).reshape(40, 60) * 27 + 5).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(values).save(tmp_path / "deep.png", exif=exif)
    lying = bpy.data.images.load(str(tmp_path / "deep.png"))
    expected = np.rot90(read_pixels(lying), 1)
    add(tmp_path, "deep.png")
    image = background_images(new_cameras()[0])[0].image
    assert image.is_float
    np.testing.assert_allclose(read_pixels(image), expected, atol=1e-5)


def test_unreadable_photos_are_named_and_the_others_added(tmp_path):
    photo_file(tmp_path, "good.jpg")
    (tmp_path / "notes.jpg").write_text("not a picture")
    assert add(tmp_path, "good.jpg", "notes.jpg", "missing.jpg") == {"FINISHED"}
    assert [camera.name for camera in new_cameras()] == ["good"]
    images = set(bpy.data.images)
    for name, words in (("notes.jpg", "not a photo"), ("missing.jpg", "cannot be opened")):
        with pytest.raises(RuntimeError, match=words):
            add(tmp_path, name)
    with pytest.raises(RuntimeError, match="No photo was picked"):
        bpy.ops.fit_to_photo.add_photos()
    assert set(bpy.data.images) == images


def test_match_photo_replaces_the_photo_of_the_active_camera(tmp_path, scene):
    side = bpy.data.objects["Side"]
    scene.camera = side
    place, background = side.matrix_world.copy(), side.data.background_images[0]
    background.use_flip_x = True
    path = photo_file(tmp_path, "new.jpg", (90, 30), focal=28)
    assert bpy.ops.fit_to_photo.match_photo(filepath=str(path)) == {"FINISHED"}
    assert background_images(side)[0].image.name == "new.jpg"
    assert background_images(side)[0].use_flip_x
    assert side.matrix_world == place
    assert side.data.lens == 50, "it was lined up with this lens"
    assert (scene.render.resolution_x, scene.render.resolution_y) == (90, 30)
    before = bpy.data.objects["Front"].data.background_images[0].image.name
    bpy.context.view_layer.objects.active = bpy.data.objects["Front"]
    with pytest.raises(RuntimeError, match="cannot be opened"):
        bpy.ops.fit_to_photo.match_photo(filepath=str(tmp_path / "gone.jpg"))
    assert bpy.data.objects["Front"].data.background_images[0].image.name == before


def test_match_photo_on_a_bare_camera_and_without_any(tmp_path, scene):
    bare = bpy.data.objects.new("Bare", bpy.data.cameras.new("Bare"))
    scene.collection.objects.link(bare)
    bpy.context.view_layer.objects.active = bare
    bpy.ops.fit_to_photo.match_photo(filepath=str(photo_file(tmp_path, "new.jpg", (90, 30), focal=28)))
    assert read_photo(bare)[0].rgb.shape == (30, 90, 3)
    assert bare.data.lens == pytest.approx(28 * np.hypot(90, 30) / np.hypot(36, 24) * 36 / 90, rel=1e-5)
    for obj in [obj for obj in bpy.data.objects if obj.type == "CAMERA"]:
        bpy.data.objects.remove(obj)
    assert not bpy.ops.fit_to_photo.match_photo.poll()


def test_masks(tmp_path, scene):
    scene.camera = bpy.data.objects["Front"]
    photo = photo_file(tmp_path, "photo.jpg")
    bpy.ops.fit_to_photo.match_photo(filepath=str(photo))
    assert mask_state(scene.camera) == "No Mask"
    scene.camera.data.background_images[0].use_flip_y = True
    grey = np.zeros((40, 60), np.uint8)
    grey[10:20] = 200
    Image.fromarray(grey).save(tmp_path / "mask.png")
    bpy.ops.fit_to_photo.add_mask(filepath=str(tmp_path / "mask.png"))
    bpy.ops.fit_to_photo.add_mask(filepath=str(tmp_path / "mask.png"))
    assert mask_state(scene.camera) == "Mask"
    assert len(scene.camera.data.background_images) == 2
    mask = read_photo(scene.camera)[0].mask
    np.testing.assert_allclose(mask, grey[::-1] / 255, atol=1e-6)
    Image.fromarray(grey[:9]).save(tmp_path / "small.png")
    with pytest.raises(RuntimeError, match="make them the same size"):
        bpy.ops.fit_to_photo.add_mask(filepath=str(tmp_path / "small.png"))
    bpy.ops.fit_to_photo.match_photo(filepath=str(photo_file(tmp_path, "cut.png", (30, 30), mode="RGBA")))
    assert mask_state(scene.camera) == "Alpha"
    assert len(scene.camera.data.background_images) == 1


def test_many_masks_find_their_photos_by_name(tmp_path, scene):
    (tmp_path / "masks").mkdir()
    (tmp_path / "photos").mkdir()
    names = ("IMG_1.jpg", "img 2.png", "Three.v1.jpg")
    for name in names:
        photo_file(tmp_path / "photos", name)
    bpy.ops.fit_to_photo.add_photos(directory=str(tmp_path / "photos"), files=[{"name": name} for name in names])
    bpy.data.objects["IMG_1"].name = "Renamed"
    masks = {"IMG_1.jpg.png": "Renamed", "img 2_mask.png": "img 2", "Three.v1.PNG": "Three.v1"}
    for value, name in enumerate(masks, 1):
        Image.new("L", (60, 40), 150 + 30 * value).save(tmp_path / "masks" / name)
    Image.new("L", (60, 40)).save(tmp_path / "masks" / "other.png")
    Image.new("L", (9, 9)).save(tmp_path / "masks" / "Side.png")
    files = [{"name": path.name} for path in (tmp_path / "masks").iterdir()]
    assert bpy.ops.fit_to_photo.add_mask(directory=str(tmp_path / "masks"), files=files) == {"FINISHED"}
    for value, camera in enumerate(masks.values(), 1):
        assert read_photo(bpy.data.objects[camera])[0].mask.max() == pytest.approx((150 + 30 * value) / 255, abs=1e-3)
    assert mask_state(bpy.data.objects["Side"]) != "Mask"
    with pytest.raises(RuntimeError, match="other.png: no photo has its name"):
        bpy.ops.fit_to_photo.add_mask(directory=str(tmp_path / "masks"), files=[{"name": "other.png"}, {"name": "Side.png"}])


def test_the_list_shows_and_includes(scene):
    cube = bpy.data.objects["Cube"]
    cube.select_set(True)
    scene.render.resolution_x, scene.render.resolution_y = 1920, 1080
    side = bpy.data.objects["Side"]
    scene.fit_to_photo.photo_index = scene.objects.find("Side")
    assert scene.camera == side
    assert scene.fit_to_photo.photo_index == scene.objects.find("Side")
    assert side.select_get()
    assert cube.select_get(), "choosing a photo does not change what is fitted"
    assert (scene.render.resolution_x, scene.render.resolution_y) == (32, 24)
    scene.fit_to_photo.photo_index = scene.objects.find("Cube")
    assert scene.camera == side, "a mesh is no photo"
    assert select(scene, bpy.context.view_layer).cameras == ("Front", "Side")
    side.fit_to_photo.include = False
    assert select(scene, bpy.context.view_layer).cameras == ("Front",)
    assert bpy.ops.fit_to_photo.run() == {"FINISHED"}
