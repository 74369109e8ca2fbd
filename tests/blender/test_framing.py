"""Photos anywhere in the camera's frame, against the matrix by which Blender's viewport draws background images, and there and back.

That the matrix is Blender's is shown in a real window by tests/real_blender/framing_in_window.py.
"""

import itertools
import math

import bpy
import numpy as np
import pytest
from mathutils import Matrix, Vector

from blender_addon.exchange import SceneProblem, read_scene
from blender_addon.exchange.cameras import read_camera, write_camera
from blender_addon.exchange.framing import Framing
from blender_addon.exchange.photos import read_photo_camera
from blender_addon.report import render_views
from tests.blender.test_cameras import project

VIEWS = (
    ((800, 500), (1, 1), {}),
    ((500, 800), (1, 1), {"sensor_fit": "VERTICAL", "shift_x": 0.1, "shift_y": -0.05}),
    ((600, 600), (1, 1), {"type": "ORTHO", "ortho_scale": 3, "shift_x": -0.07}),
    ((500, 700), (1, 1.5), {"sensor_fit": "HORIZONTAL", "sensor_width": 20}),
)
MOVES = (
    {},
    {"offset": (0.1, -0.06)},
    {"scale": 0.8},
    {"rotation": 0.4},
    {"offset": (-0.08, 0.05), "scale": 1.7, "rotation": -1.2},
)
CASES = list(itertools.product(("STRETCH", "FIT", "CROP"), ((64, 48), (48, 64), (50, 50)), VIEWS, MOVES))


def drawn_matrix(data, background, image_aspect):
    """``camera_from_quad`` of the viewport's square from -1 to 1, as the comments in Blender's own drawing code describe it."""
    top_right, bottom_right, _, top_left = data.view_frame(scene=bpy.context.scene)
    width, height = top_right.x - top_left.x, top_right.y - bottom_right.y
    aspect = width / height
    if background.frame_method == "STRETCH":
        size = width, height
    elif (image_aspect > aspect) == (background.frame_method == "FIT"):
        size = width, width / image_aspect
    else:
        size = height * image_aspect, height
    unit = data.ortho_scale if data.type == "ORTHO" else 1
    move = Vector((background.offset[0] * min(1, aspect), background.offset[1] / (max(1, aspect) * image_aspect / aspect), 0)) * unit
    middle = (top_left + bottom_right) / 2
    scale = Matrix.Diagonal((size[0] / 2 * background.scale, size[1] / 2 * background.scale, 1, 1))
    return Matrix.Translation(move + middle) @ Matrix.Rotation(-background.rotation, 4, "Z") @ scale


def set_up(build, method, size, view, move):
    obj = build.camera(size=size)
    obj.rotation_euler = (1.1, 0.2, 0.3)
    background = obj.data.background_images[0]
    render, aspect, settings = view
    scene = build.scene.render
    scene.pixel_aspect_x, scene.pixel_aspect_y = aspect
    scene.resolution_x, scene.resolution_y = size if method == "STRETCH" else render
    background.frame_method = method
    for name, value in settings.items():
        setattr(obj.data, name, value)
    for name, value in move.items():
        setattr(background, name, value)
    bpy.context.view_layer.update()
    return obj, background


@pytest.mark.parametrize(("method", "size", "view", "move"), CASES)
def test_the_photo_is_where_the_viewport_draws_it(build, method, size, view, move):
    obj, background = set_up(build, method, size, view, move)
    camera = read_photo_camera(obj, build.scene)
    matrix = obj.matrix_world @ drawn_matrix(obj.data, background, size[0] / size[1])
    for x, y in ((0, 0), (1, 0), (0.3, 0.8)):  # of the photo's width and height
        world = np.array([matrix @ Vector((2 * x - 1, 1 - 2 * y, 0))], np.float64)
        np.testing.assert_allclose(project(camera, world)[0], (x * size[0], y * size[1]), atol=2e-3)


@pytest.mark.parametrize(("method", "size", "view", "move"), CASES[::7])
def test_there_and_back(build, method, size, view, move):
    obj, background = set_up(build, method, size, view, move)
    render = build.scene.render
    frame = render.resolution_x * render.pixel_aspect_x / (render.resolution_y * render.pixel_aspect_y)
    framing = Framing(method, tuple(background.offset), background.scale, background.rotation, 1.0, frame)
    camera = read_photo_camera(obj, build.scene)
    data = obj.data
    before = data.lens, data.shift_x, data.shift_y, data.ortho_scale, *itertools.chain(*obj.matrix_world)
    data.lens, data.shift_x, data.shift_y, obj.location = 99, 0.3, 0.3, (1, 2, 3)
    write_camera(obj, camera, framing)
    bpy.context.view_layer.update()
    after = data.lens, data.shift_x, data.shift_y, data.ortho_scale, *itertools.chain(*obj.matrix_world)
    if data.type == "ORTHO":
        before, after = before[1:], after[1:]
    np.testing.assert_allclose(after, before, rtol=2e-6, atol=3e-6)
    again = read_photo_camera(obj, build.scene)
    np.testing.assert_allclose(again.focal_px, camera.focal_px, rtol=1e-6)
    np.testing.assert_allclose(again.centre_px, camera.centre_px, rtol=1e-6, atol=1e-5)


def test_flips_turn_the_pixels_before_the_photo_is_turned(build):
    """The camera does not change with the flips: they are in the pixels."""
    obj, background = set_up(build, "FIT", (64, 48), VIEWS[0], MOVES[-1])
    plain = read_photo_camera(obj, build.scene)
    background.use_flip_x = background.use_flip_y = True
    np.testing.assert_array_equal(read_photo_camera(obj, build.scene).centre_px, plain.centre_px)


def test_image_pixels_that_are_not_square(build):
    obj, background = set_up(build, "FIT", (64, 48), VIEWS[0], MOVES[-1])
    background.image.display_aspect = (2, 1)
    camera = read_photo_camera(obj, build.scene)
    assert camera.focal_px[1] / camera.focal_px[0] == pytest.approx(2)
    matrix = obj.matrix_world @ drawn_matrix(obj.data, background, 128 / 48)
    world = np.array([matrix @ Vector((0.5, 0.5, 0))], np.float64)
    np.testing.assert_allclose(project(camera, world)[0], (48, 12), atol=2e-3)


@pytest.mark.parametrize("move", [{}, {"offset": (0.1, 0.05), "scale": 1.2, "rotation": 0.6}])
@pytest.mark.parametrize("method", ["STRETCH", "FIT"])
def test_the_report_renders_what_the_photo_shows(build, method, move):
    """Cycles' own picture of a cube has the outline that the exported camera projects."""
    obj, _ = set_up(build, method, (300, 200), ((400, 200), (1, 1), {"shift_x": 0.05}), move)
    obj.rotation_euler, obj.location = (math.pi / 2, 0, 0), (0, -18, 0)
    cube = build.mesh()
    bpy.context.view_layer.update()
    camera = read_scene(build.scene, [cube], [obj], [], texture=False).scene.cameras["Front"]
    corners = project(camera, np.array([vertex.co for vertex in cube.data.vertices], np.float64))
    alpha = render_views(build.scene, [obj], [cube], unlit=True)["Front"][..., 3]
    assert alpha.shape == (200, 300)
    rows, columns = np.nonzero(alpha > 0.5)
    assert ((corners > 5) & (corners < (295, 195))).all()
    for seen, expected in ((columns, corners[:, 0]), (rows, corners[:, 1])):
        assert seen.min() == pytest.approx(expected.min(), abs=1.5)
        assert seen.max() + 1 == pytest.approx(expected.max(), abs=1.5)


def test_other_shapes_than_the_renders_are_warned_of(build):
    obj, background = set_up(build, "FIT", (64, 48), VIEWS[0], {})
    mesh = build.mesh()
    obj.rotation_euler = (math.pi / 2, 0, 0)
    (warning,) = read_scene(build.scene, [mesh], [obj], [], texture=False).warnings
    assert "'Front' (64 × 48)" in warning
    assert "where the camera view shows" in warning
    background.frame_method = "STRETCH"
    assert read_camera(obj, (64, 48)).focal_px[0] == read_photo_camera(obj, build.scene).focal_px[0]
    background.scale = 0
    with pytest.raises(SceneProblem, match="'Front' has no size"):
        read_photo_camera(obj, build.scene)
