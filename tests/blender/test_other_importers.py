"""Scenes as fSpy's and Photogrammetry-Importer's add-ons leave them: nothing has to be changed by hand before a fit."""

import math

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from blender_addon.exchange import read_scene
from tests.blender.test_cameras import project, project_by_blender

POINTS = np.random.default_rng(2).uniform(-1, 1, (20, 3))


def looking_at_origin(distance):
    return Matrix.Rotation(0.4, 4, "Z") @ Matrix.Rotation(1.3, 4, "X") @ Matrix.Translation((0, 0, distance))


def packed_photo(build, name, size):
    """An image that came from a temporary file which is gone."""
    image = build.image(name, size)
    path = build.folder / f"{name}.png"
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
    loaded = bpy.data.images.load(str(path))
    loaded.pack()
    path.unlink()
    return loaded


@pytest.mark.parametrize("size", [(640, 480), (480, 640)])
def test_fspy(build, size):
    """One camera by field of view and shift, an older background image hidden, the render size that of the photo."""
    data = bpy.data.cameras.new("project.fspy")
    obj = build.link(bpy.data.objects.new("project.fspy", data))
    data.type, data.lens_unit, data.angle = "PERSP", "FOV", 0.7
    obj.matrix_world = looking_at_origin(7)
    data.shift_x, data.shift_y = 0.04, -0.03
    data.show_background_images = True
    old = data.background_images.new()
    old.image, old.show_background_image = build.image("Old", (32, 32)), False
    data.background_images.new().image = packed_photo(build, "project", size)
    build.scene.render.resolution_x, build.scene.render.resolution_y = size
    bpy.context.view_layer.update()
    exported = read_scene(build.scene, [build.mesh()], [obj], [], texture=True)
    camera = exported.scene.cameras["project.fspy"]
    assert (camera.size, exported.photos[0].rgb.shape[:2], exported.warnings) == (size, size[::-1], [])
    assert np.abs(project(camera, POINTS) - project_by_blender(obj, POINTS, size, (1, 1))).max() < 0.01


def test_photogrammetry_importer(build):
    """Many cameras in a collection of their own, scaled to be seen, photos cropped; the render size is that of the photos."""
    size, focal, centre = (640, 426), 700.0, (331.0, 205.0)
    collection = bpy.data.collections.new("Cameras")
    build.scene.collection.children.link(collection)
    build.scene.render.resolution_x, build.scene.render.resolution_y = size
    cameras = []
    for index in range(3):
        data = bpy.data.cameras.new(f"shot{index}_cam")
        data.angle = 2 * math.atan(max(size) / 2 / focal)
        data.shift_x, data.shift_y = (size[0] / 2 - centre[0]) / max(size), -(size[1] / 2 - centre[1]) / max(size)
        obj = bpy.data.objects.new(data.name, data)
        collection.objects.link(obj)
        obj.matrix_world = looking_at_origin(7 + index)
        obj.scale *= 0.2
        data.show_background_images = True
        background = data.background_images.new()
        background.image, background.frame_method = packed_photo(build, f"shot{index}", size), "CROP"
        cameras.append(obj)
    bpy.context.view_layer.update()
    exported = read_scene(build.scene, [build.mesh()], cameras, [], texture=True)
    assert exported.warnings == []
    for obj in cameras:
        camera = exported.scene.cameras[obj.name]
        np.testing.assert_allclose(camera.focal_px, focal, rtol=1e-5)
        np.testing.assert_allclose(camera.centre_px, centre, atol=1e-3)
        assert np.abs(project(camera, POINTS) - project_by_blender(obj, POINTS, size, (1, 1))).max() < 0.01
