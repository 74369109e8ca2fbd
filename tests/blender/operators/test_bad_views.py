"""Cameras and lights with which nothing can be fitted: each is a sentence, and the scene stays as it was."""

import sys

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from tests.blender.operators.conftest import Cases  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")
bad = Cases()
NAMES = ("Front", "Side")


def front() -> "bpy.types.Object":
    return bpy.data.objects["Front"]


def lamp() -> "bpy.types.Object":
    lamp = bpy.data.objects["Lamp"]
    lamp.select_set(True)
    return lamp


@bad("No visible camera has a photo: press Add Photos")
def no_camera():
    for name in NAMES:
        bpy.data.objects.remove(bpy.data.objects[name])


@bad("All cameras with photos are hidden: show at least one in the Outliner")
def hidden_cameras():
    for name in NAMES:
        bpy.data.objects[name].hide_viewport = True


@bad("Camera 'Front' is panoramic: set its lens type to Perspective or Orthographic")
def panoramic_camera():
    front().data.type = "PANO"


@bad("'Cube' is outside the view of every camera: look through the cameras and move it into the picture")
def cameras_that_look_away():
    for name in NAMES:
        bpy.data.objects[name].rotation_euler.rotate_axis("Y", np.pi)


@bad("'Cube' is outside the view of every camera")
def mesh_behind_the_cameras():
    for name in NAMES:
        bpy.data.objects[name].rotation_euler = np.pi / 2, 0, 0
        bpy.data.objects[name].location = 0, 8, 0


@bad("'Cube' is outside the view of every camera")
def clip_start_behind_the_mesh():
    for name in NAMES:
        bpy.data.cameras[name].clip_start = 50


@bad("'Front' is mirrored by a negative scale: apply its scale")
def mirrored_camera():
    front().scale.x = -1


@bad("'Front' is scaled to nothing: give it a scale of 1")
def camera_scaled_to_nothing():
    front().scale = 0, 0, 0


@bad("'Front' is at a place that is not a number: check its location, constraints and drivers")
def camera_nowhere():
    front().location.x = float("nan")


@bad("'Front' is sheared by its parent's scale: apply the parent's scale")
def sheared_camera():
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(parent)
    parent.scale = 1, 3, 1
    front().parent, front().rotation_euler = parent, (1, 0.3, 0.2)


@bad("'Lamp' gives no light: raise its Power, or deselect the lamps, and light stays in the texture")
def lamp_without_power():
    lamp().data.energy = 0


@bad("'Lamp' gives no light")
def black_lamp_in_a_black_world():
    lamp().data.color = 0, 0, 0
    world = bpy.data.worlds.new("Night")
    world.color = 0, 0, 0
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0
    bpy.context.scene.world = world


@bad("'Lamp' is mirrored by a negative scale: apply its scale")
def mirrored_lamp():
    lamp().scale.x = -1


@pytest.mark.parametrize("name", bad)
def test_a_bad_view_is_a_sentence(refused, name):
    spoil, words = bad[name]
    spoil()
    bpy.context.view_layer.update()
    refused(words)
