"""Photos of every kind: colour spaces, 16 bits, OpenEXR, frames of movie clips; and lens distortion as Blender means it."""

from dataclasses import replace

import bpy
import numpy as np
import pytest
from PIL import Image

from blender_addon.exchange import SceneProblem, read_scene
from blender_addon.exchange.clips import Lens, read_clip_frame, read_lens, write_lens
from blender_addon.exchange.distortion import Distortion, undistort
from blender_addon.exchange.images import read_image, to_linear, write_image
from blender_addon.exchange.photos import background_images, photo_size, read_photo, read_photo_camera, thumbnail, write_photo_camera
from blender_addon.photo_list import has_photo, mask_state
from blender_addon.report import straightened
from dr_backend.scene.lens import polynomial_shift

P3_TO_REC709 = np.array([[1.22494, -0.22494, 0], [-0.042057, 1.042057, 0], [-0.019638, -0.078636, 1.098274]])
REC2020_TO_REC709 = np.array([[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]])


def save(path, values):
    Image.fromarray(values).save(path)
    return path


def load(path, space=None):
    image = bpy.data.images.load(str(path))
    if space:
        image.colorspace_settings.name = space
    return image


def test_colour_space_of_an_eight_bit_photo(build, tmp_path):
    values = np.random.default_rng(0).integers(30, 220, (24, 32, 3), np.uint8)
    path, before = save(tmp_path / "wide.png", values), {scene.name for scene in bpy.data.scenes}
    obj = build.camera(size=(32, 24))
    for space, expected in (
        ("sRGB", to_linear(values / 255)),
        ("Non-Color", values / 255),
        ("Linear Rec.709", values / 255),
        ("Display P3", to_linear(values / 255) @ P3_TO_REC709.T),
    ):
        obj.data.background_images[0].image = load(path, space)
        np.testing.assert_allclose(read_photo(obj)[0].rgb, expected, atol=2e-3 if "P3" in space else 1e-6)
    assert {scene.name for scene in bpy.data.scenes} == before
    assert [image.name for image in bpy.data.images if image.name.startswith("linear")] == []


def test_colour_conversion_keeps_alpha(build, tmp_path):
    values = np.full((8, 8, 4), (200, 100, 50, 255), np.uint8)
    values[:4, :, 3] = 128
    rgba, has_alpha = read_image(load(save(tmp_path / "cut.png", values), "Display P3"))
    assert has_alpha
    np.testing.assert_allclose(rgba[..., 3], values[..., 3] / 255, atol=1e-6)
    np.testing.assert_allclose(rgba[..., :3], np.broadcast_to(rgba[7, 7, :3], (8, 8, 3)), atol=2e-3)


def test_sixteen_bits(build, tmp_path):
    values = np.linspace(0, 65535, 32 * 24).reshape(24, 32).astype(np.uint16)
    obj = build.camera(size=(32, 24))
    obj.data.background_images[0].image = load(save(tmp_path / "deep.png", values))
    rgb = read_photo(obj)[0].rgb
    np.testing.assert_allclose(rgb, np.repeat(to_linear(values / 65535)[..., None], 3, -1), atol=2e-4)
    assert len(np.unique(rgb)) > 600, "more steps than 8 bits have"


@pytest.mark.parametrize("space", ["Linear Rec.709", "Linear Rec.2020"])
def test_open_exr(build, tmp_path, space):
    values = np.random.default_rng(1).uniform(0, 4, (24, 32, 4)).astype(np.float32)
    values[..., 3] = 1
    image = bpy.data.images.new("Bright", 32, 24, float_buffer=True)
    image.pixels.foreach_set(values[::-1].ravel())
    settings = build.scene.render.image_settings
    settings.file_format, settings.color_depth = "OPEN_EXR", "32"
    image.save_render(str(tmp_path / "bright.exr"), scene=build.scene)
    obj = build.camera(size=(32, 24))
    obj.data.background_images[0].image = load(tmp_path / "bright.exr", space)
    rgb = read_photo(obj)[0].rgb
    if space == "Linear Rec.709":
        np.testing.assert_allclose(rgb, values[..., :3], rtol=2e-3)
    else:
        np.testing.assert_allclose(rgb, values[..., :3] @ REC2020_TO_REC709.T, rtol=2e-3, atol=2e-3)


# -- movie clips -------------------------------------------------------------------------------------------------------------------------


def use_clip(obj, clip):
    background = obj.data.background_images[0]
    background.source, background.clip = "MOVIE_CLIP", clip
    return background


def numbered_photos(folder):
    for number in range(8, 12):
        save(folder / f"shot_{number:03d}.png", np.full((24, 32, 3), (20 * number, 40, 60), np.uint8))


def test_clip_shows_the_frame_of_the_scene(build, tmp_path):
    numbered_photos(tmp_path)
    clip = bpy.data.movieclips.load(str(tmp_path / "shot_008.png"))
    clip.frame_start, clip.frame_offset = 5, 1
    obj = build.camera(size=(32, 24))
    use_clip(obj, clip)
    for frame, number in ((5, 9), (7, 11), (4, 8)):
        build.scene.frame_set(frame)
        rgb = read_photo(obj)[0].rgb
        np.testing.assert_allclose(rgb, np.broadcast_to(to_linear(np.array([20 * number, 40, 60]) / 255), (24, 32, 3)), atol=1e-6)
    build.scene.frame_set(30)
    with pytest.raises(SceneProblem, match=r"'Front'.*shot_034\.png.*go to a frame"):
        read_photo(obj)


def test_a_clip_is_listed_without_a_preview_unless_it_has_an_image(build, tmp_path):
    numbered_photos(tmp_path)
    obj = build.camera(size=(32, 24))
    background = use_clip(obj, bpy.data.movieclips.load(str(tmp_path / "shot_008.png")))
    assert thumbnail(obj) == background.image
    background.image = None
    assert thumbnail(obj) is None
    assert (has_photo(obj), mask_state(obj), photo_size(obj)) == (True, "No Mask", (32, 24))


def test_frame_of_a_movie(build, tmp_path):
    numbered_photos(tmp_path)
    movie = bpy.data.scenes.new("Movie")
    editor = movie.sequence_editor_create()
    strips = editor.sequences if bpy.app.version < (4, 4, 0) else editor.strips
    for frame, number in enumerate((8, 9, 10, 11), 1):
        strips.new_image("Shot", str(tmp_path / f"shot_{number:03d}.png"), 1, frame).frame_final_duration = 1
    movie.frame_end, render = 4, movie.render
    render.resolution_x, render.resolution_y = 32, 24
    if bpy.app.version >= (5, 0, 0):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.constant_rate_factor = "AVI", "FFV1", "LOSSLESS"
    movie.view_settings.view_transform = "Standard"
    render.filepath = str(tmp_path / "movie.avi")
    bpy.ops.render.render(animation=True, scene="Movie")
    clip = bpy.data.movieclips.load(str(tmp_path / "movie.avi"))
    assert clip.source == "MOVIE"
    scenes = len(bpy.data.scenes)
    for frame, number in ((1, 8), (3, 10), (99, 11)):
        rgba, _ = read_clip_frame(clip, frame)
        assert rgba.shape == (24, 32, 4)
        expected = np.broadcast_to(to_linear(np.array([20 * number, 40, 60]) / 255), (24, 32, 3))
        np.testing.assert_allclose(rgba[..., :3], expected, atol=0.02)
    assert len(bpy.data.scenes) == scenes


# -- lens distortion ---------------------------------------------------------------------------------------------------------------------

POLYNOMIAL = Distortion(-0.12, 0.05, -0.02)
BROWN = Distortion(-0.1, 0.04, 0.01, 0.012, -0.02)


def pattern(width=96, height=64):
    """A picture of smooth waves, (H, W, 3)."""
    row, column = np.mgrid[0:height, 0:width] / 4.0
    return np.stack([np.sin(column) * 0.4 + 0.5, np.cos(row) * 0.4 + 0.5, np.sin(row + column) * 0.4 + 0.5], -1).astype(np.float32)


def clip_of(folder, rgb):
    save(folder / "pattern.png", np.round(rgb * 255).astype(np.uint8))
    return bpy.data.movieclips.load(str(folder / "pattern.png"))


@pytest.mark.parametrize("distortion", [Distortion(), POLYNOMIAL, BROWN])
def test_lens_there_and_back(build, tmp_path, distortion):
    clip = clip_of(tmp_path, pattern())
    write_lens(clip, Lens(distortion, np.array([80.0, 80.0]), np.array([50.0, 30.0])))
    lens = read_lens(clip)
    for name in ("k1", "k2", "k3", "p1", "p2"):
        assert getattr(lens.distortion, name) == pytest.approx(getattr(distortion, name), abs=1e-7)
    np.testing.assert_allclose(lens.focal_px, (80, 80), rtol=1e-6)
    np.testing.assert_allclose(lens.centre_px, (50, 30), rtol=1e-5)
    assert clip.tracking.camera.distortion_model == ("BROWN" if distortion.p1 else "POLYNOMIAL")


@pytest.mark.skipif(bpy.app.version >= (5, 0, 0), reason="compositor nodes are in groups of their own since Blender 5")
@pytest.mark.parametrize("distortion", [POLYNOMIAL, BROWN])
def test_undistorts_as_blenders_compositor_does(build, tmp_path, distortion):
    """The same clip through Blender's own Movie Distortion node."""
    clip = clip_of(tmp_path, pattern())
    write_lens(clip, Lens(distortion, np.array([80.0, 80.0]), np.array([50.0, 30.0])))
    scene = build.scene
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    source, node, output = (tree.nodes.new(f"CompositorNode{kind}") for kind in ("MovieClip", "MovieDistortion", "Composite"))
    source.clip = node.clip = clip
    node.distortion_type = "UNDISTORT"
    tree.links.new(source.outputs[0], node.inputs[0])
    tree.links.new(node.outputs[0], output.inputs[0])
    scene.render.resolution_x, scene.render.resolution_y = 96, 64
    scene.camera = build.camera(photo=False)
    scene.render.image_settings.file_format, scene.render.image_settings.color_depth = "OPEN_EXR", "32"
    scene.render.filepath = str(tmp_path / "undistorted.exr")
    bpy.ops.render.render(write_still=True)
    expected = read_image(load(tmp_path / "undistorted.exr"))[0][..., :3]
    lens = read_lens(clip)
    given = read_clip_frame(clip, 1)[0][..., :3]
    ours = undistort(given, lens.focal_px, lens.centre_px, lens.distortion)
    wrong = undistort(given, lens.focal_px, lens.centre_px, replace(lens.distortion, k1=0.0, p1=lens.distortion.p2, p2=lens.distortion.p1))
    assert difference(ours, expected) < 1e-4
    assert difference(wrong, expected) > 0.01


@pytest.mark.skipif(bpy.app.version >= (5, 0, 0), reason="compositor nodes are in groups of their own since Blender 5")
@pytest.mark.parametrize("distortion", [POLYNOMIAL, BROWN, Distortion(0.2, -0.05, 0.1)])
def test_every_pixel_is_where_blender_distorts_it_to(build, tmp_path, distortion):
    """Blender's Movie Distortion node moves a picture whose colours are its pixels' places: our formula takes each back to where it is."""
    width, height = 192, 128
    clip = clip_of(tmp_path, pattern(width, height))
    write_lens(clip, Lens(distortion, np.array([160.0, 160.0]), np.array([100.0, 60.0])))
    pixels = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1)
    places = bpy.data.images.new("Places", width, height, float_buffer=True)
    places.colorspace_settings.name = "Non-Color"
    places.pixels.foreach_set(np.concatenate([pixels, np.ones((height, width, 2))], -1)[::-1].astype(np.float32).ravel())
    scene = build.scene
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    source, node, output = (tree.nodes.new(f"CompositorNode{kind}") for kind in ("Image", "MovieDistortion", "Composite"))
    source.image, node.clip, node.distortion_type = places, clip, "DISTORT"
    tree.links.new(source.outputs[0], node.inputs[0])
    tree.links.new(node.outputs[0], output.inputs[0])
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.camera = build.camera(photo=False)
    scene.render.image_settings.file_format, scene.render.image_settings.color_depth = "OPEN_EXR", "32"
    scene.render.filepath = str(tmp_path / "distorted.exr")
    bpy.ops.render.render(write_still=True)
    moved = read_image(load(scene.render.filepath, "Non-Color"))[0].astype(np.float64)
    whole = moved[..., 2] > 0.9999
    whole[:12] = whole[-12:] = whole[:, :12] = whole[:, -12:] = False  # the canvas ends there
    lens = read_lens(clip)
    off = (lens.distortion.apply((moved[whole, :2] - lens.centre_px) / lens.focal_px) * lens.focal_px + lens.centre_px) - pixels[whole]
    shift = np.median(off, 0)  # the node puts its larger picture into the middle of the canvas
    assert whole.mean() > 0.5
    assert np.abs(moved[whole, :2] - pixels[whole] - shift).max() > 3, "it does move them"
    assert shift == pytest.approx(np.round(shift), abs=1e-3)
    assert np.abs(off - shift).max() < 0.05


def difference(ours, expected, margin=9):
    """Mean difference at the best whole-pixel shift: the node puts its enlarged picture into the middle of the canvas."""
    inner = np.s_[margin:-margin, margin:-margin]
    shifts = range(-margin, margin + 1)
    return min(np.abs(np.roll(ours, (dy, dx), (0, 1))[inner] - expected[inner]).mean() for dy in shifts for dx in shifts)


def dots(places, size):
    """A picture (H, W) of soft dots at pixels."""
    row, column = np.mgrid[0 : size[1], 0 : size[0]] + 0.5
    return np.clip(sum(np.exp(-((column - x) ** 2 + (row - y) ** 2) / 8) for x, y in places), 0, 1)


def found_near(picture, x, y):
    """Centre of the dot that lies there."""
    row, column = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]] + 0.5
    weight = picture * (np.abs(column - x) < 7) * (np.abs(row - y) < 7)
    return np.array([(weight * column).sum(), (weight * row).sum()]) / weight.sum()


@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True), (True, True)])
def test_photo_is_as_taken_and_its_camera_has_the_lens(build, tmp_path, flips):
    """A grid of dots seen through the lens: each is in the photo where the camera says, and straightened where a pinhole camera does."""
    focal, centre, size = np.array([300.0, 300.0]), np.array([170.0, 110.0]), (320, 240)
    rays = np.stack(np.meshgrid(np.linspace(-0.35, 0.3, 5), np.linspace(-0.25, 0.25, 4)), -1).reshape(-1, 2)
    taken = dots(BROWN.apply(rays) * focal + centre, size)
    clip = clip_of(tmp_path, np.repeat(taken[..., None], 3, -1))
    write_lens(clip, Lens(BROWN, focal, centre))
    clip.colorspace_settings.name = "Non-Color"
    obj = build.camera(size=size, mask=write_image("Mask", to_linear(np.repeat(taken[..., None], 3, -1)).astype(np.float32)))
    use_clip(obj, clip)
    for background in obj.data.background_images:
        background.use_flip_x, background.use_flip_y = flips
    photo, camera = read_photo(obj)[0], read_photo_camera(obj, build.scene)
    expected = np.round(taken * 255)[:: -1 if flips[1] else 1, :: -1 if flips[0] else 1] / 255
    np.testing.assert_allclose(photo.rgb[..., 0], expected, atol=1e-3)
    np.testing.assert_allclose(photo.mask, expected, atol=1e-2)
    straight = straightened(photo, camera)
    flipped = np.where(flips, -1.0, 1.0)
    for ray in rays:
        pinhole = np.where(flips, np.array(size) - centre, centre) + focal * ray * flipped
        x, y = (pinhole - camera.distortion_centre_px) / camera.distortion_focal_px
        seen = np.stack([x, y]) + polynomial_shift(x, y, camera.distortion)
        seen = seen * camera.distortion_focal_px + camera.distortion_centre_px
        assert found_near(photo.rgb[..., 0], *seen) == pytest.approx(seen, abs=0.05)
        assert found_near(straight.rgb[..., 0], *pinhole) == pytest.approx(pinhole, abs=0.15)
        assert found_near(straight.mask, *pinhole) == pytest.approx(pinhole, abs=0.15)


def test_a_straight_lens_leaves_no_trace(build, tmp_path):
    clip = clip_of(tmp_path, pattern())
    obj = build.camera(size=(96, 64))
    use_clip(obj, clip)
    camera, photo = read_photo_camera(obj, build.scene), read_photo(obj)[0]
    assert camera.distortion is camera.distortion_focal_px is None
    assert straightened(photo, camera) is photo
    write_photo_camera(obj, camera, build.scene)
    assert read_photo_camera(obj, build.scene).distortion is None


def test_distortion_is_written_to_the_clip_and_taken_away_again(build, tmp_path):
    clip = clip_of(tmp_path, pattern())
    obj = build.camera(size=(96, 64))
    use_clip(obj, clip)
    plain = read_photo_camera(obj, build.scene)
    coefficients = np.array([-0.11, 0.07, -0.03, 0.01, -0.02], np.float32)
    write_photo_camera(obj, replace(plain, distortion=coefficients), build.scene)
    camera = read_photo_camera(obj, build.scene)
    np.testing.assert_array_equal(camera.distortion, coefficients)
    np.testing.assert_allclose(camera.distortion_focal_px, plain.focal_px, rtol=1e-6)
    np.testing.assert_allclose(camera.distortion_centre_px, plain.centre_px, rtol=1e-6)
    write_photo_camera(obj, plain, build.scene)
    assert read_photo_camera(obj, build.scene).distortion is None
    background_images(obj)[0].source = "IMAGE"
    with pytest.raises(SceneProblem, match="'Front' is an image, which has no lens distortion"):
        write_photo_camera(obj, camera, build.scene)


def test_an_object_that_only_the_lens_brings_into_view_is_fitted(build, tmp_path):
    clip = clip_of(tmp_path, pattern())
    obj, mesh = build.camera(size=(96, 64)), build.mesh()
    use_clip(obj, clip)
    mesh.scale = (0.1, 0.1, 0.1)
    plain = read_photo_camera(obj, build.scene)
    ray = np.append((np.array([96 * 1.12, 32]) - plain.centre_px) / plain.focal_px * [1, -1], -1) * 4
    mesh.location = (np.linalg.inv(plain.camera_from_world) @ np.append(ray, 1))[:3]
    with pytest.raises(SceneProblem, match="outside the view"):
        read_scene(build.scene, [mesh], [obj], [], texture=False)
    write_photo_camera(obj, replace(plain, distortion=np.array([-1.0, 0, 0, 0, 0], np.float32)), build.scene)
    exported = read_scene(build.scene, [mesh], [obj], [], texture=False)
    assert exported.scene.meshes
    assert any("lens distortion of 'Front' folds" in warning for warning in exported.warnings)


@pytest.mark.parametrize(("model", "value"), [("DIVISION", "division_k1"), ("NUKE", "nuke_k1"), ("BROWN", "brown_k4")])
def test_other_models_are_refused_by_name(build, tmp_path, model, value):
    clip = clip_of(tmp_path, pattern())
    clip.tracking.camera.distortion_model = model
    assert not read_lens(clip).distortion
    setattr(clip.tracking.camera, value, 0.1)
    with pytest.raises(SceneProblem, match="'pattern.png' has the lens distortion"):
        read_lens(clip)
