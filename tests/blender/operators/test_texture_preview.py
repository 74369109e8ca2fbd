"""The texture shows while it is fitted, and what the artist had is whole afterwards, however it ended."""

import os
import signal
import sys

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import report, session  # noqa: E402
from tests.blender.operators.conftest import tick_until  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")

GREY, GREEN, RED = 0.8, (0, 0.5, 0), (0.5, 0, 0)
KINDS = ("meshes", "materials", "images", "shape_keys")


def colour() -> np.ndarray:
    """Mean base colour of the cube in Blender's own render, linear."""
    scene = bpy.context.scene
    picture = report.render_views(scene, [bpy.data.objects["Front"]], [bpy.data.objects["Cube"]], unlit=True, lights=[])["Front"]
    seen = picture[picture[..., 3] > 0.99][:, :3].mean(0)
    return ((seen + 0.055) / 1.055) ** 2.4 * (seen > 0.04)


def shows(expected) -> bool:
    return bool(np.allclose(colour(), expected, atol=0.03))


def material_of_artist() -> "bpy.types.Material":
    """A green image on the cube, and another image that Solid shading shows."""
    material = bpy.data.materials.new("Paint")
    if not material.use_nodes:
        material.use_nodes = True
    tree = material.node_tree
    for name in ("Green", "Other"):
        node = tree.nodes.new("ShaderNodeTexImage")
        node.name, node.image = name, bpy.data.images.new(name, 4, 4, float_buffer=True)
        node.image.pixels.foreach_set(np.tile(np.float32((*GREEN, 1)), 16))
        node.image.pack()
    tree.nodes["Other"].show_texture = True
    tree.links.new(tree.nodes["Green"].outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])
    bpy.data.meshes["Cube"].materials.append(material)
    return material


def everything() -> tuple:
    """What the artist has: blocks, nodes, links, pixels, slots, UV maps."""
    cube = bpy.data.meshes["Cube"]
    trees = {
        material.name: (
            sorted((node.name, getattr(node, "show_texture", None)) for node in material.node_tree.nodes),
            sorted((link.from_node.name, link.to_node.name, link.to_socket.identifier) for link in material.node_tree.links),
            sorted(material.keys()),
        )
        for material in bpy.data.materials
    }
    pixels = {image.name: tuple(image.pixels) for image in bpy.data.images if image.name in ("Green", "Other")}
    blocks = [sorted(block.name for block in getattr(bpy.data, kind) if block.name != "Render Result") for kind in KINDS]
    slots = [slot.material and slot.material.name for slot in bpy.data.objects["Cube"].material_slots]
    return trees, pixels, blocks, slots, [layer.name for layer in cube.uv_layers], sorted(cube.keys())


@pytest.fixture(params=["painted", "bare"])
def start(request, monkeypatch):
    """Colour of the cube before the fit: with a material and UV map, or without."""
    monkeypatch.setenv("FAKE_WORKER", "endless")
    cube = bpy.data.meshes["Cube"]
    if request.param == "bare":
        cube.uv_layers.remove(cube.uv_layers[0])
        return GREY
    material_of_artist()
    return GREEN


def begin() -> session.Session:
    """A fit as the modal operator starts it, up to its first preview."""
    bpy.ops.ed.undo_push(message="Original")
    fit = session.start(bpy.context.scene, bpy.context.view_layer)
    assert fit.begin_preview()
    bpy.ops.ed.undo_push(message="Begin Fit to Photo")
    assert at_rest(), "Solid shading shows an image at rest too, where the material has no other"
    follow(fit)
    assert not at_rest()
    return fit


def at_rest() -> bool:
    """Whether the preview's image has the plain colour of the material."""
    image = next(image for image in bpy.data.images if "Preview" in image.name)
    return np.allclose(np.reshape(image.pixels, (-1, 4)), (0.8, 0.8, 0.8, 1))


def follow(fit: session.Session) -> None:
    """Waits for one more preview."""
    said = []
    while not fit.finished and not said:
        fit.tick(renders=False)
        if fit.show_preview():
            said.append(True)


@pytest.mark.parametrize("end", ["cancelled", "killed", "stopped"])
def test_it_shows_and_leaves_nothing(start, end):
    before = everything()
    assert shows(start)
    fit = begin()
    assert shows(RED)
    if end == "cancelled":
        fit.cancel()
    elif end == "killed":
        os.kill(fit._client.pid, signal.SIGKILL)
    else:
        session.stop()
    tick_until(fit, lambda: fit.finished)
    if end == "cancelled":  # the fake worker's result has a shape, and no texture
        assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
    assert everything() == before
    assert shows(start)


def test_a_file_saved_meanwhile_holds_none(start, tmp_path):
    before = everything()
    path = str(tmp_path / "saved.blend")
    begin()
    bpy.ops.wm.save_as_mainfile(filepath=path)
    assert shows(RED), "the preview goes on after saving"
    session.stop(scene_is_closing=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert everything() == before
    assert shows(start)


def test_a_file_saved_by_a_crash_is_tidied_when_it_is_opened(start, tmp_path):
    before = everything()
    path = str(tmp_path / "autosave.blend")
    begin()
    bpy.data.libraries.write(path, {bpy.context.scene})  # as an automatic save: no handler hears of it
    session.stop(scene_is_closing=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert everything()[:2] == before[:2]
    assert everything()[3:] == before[3:]
    assert shows(start)
    assert not [image.name for image in bpy.data.images if "Preview" in image.name]


def test_undo_and_redo(start):
    before = everything()
    fit = begin()
    bpy.data.objects["Lamp"].location.x = 9
    bpy.ops.ed.undo_push(message="Move")
    bpy.ops.ed.undo()
    assert bpy.data.objects["Lamp"].location.x != 9
    assert shows(RED), "the fit goes on, and the view follows it"
    bpy.ops.ed.undo()
    assert everything() == before
    bpy.ops.ed.redo()
    assert shows(RED)
    bpy.ops.ed.redo()
    fit.cancel()
    tick_until(fit, lambda: fit.finished)
    after = everything()
    bpy.ops.ed.undo_push(message="Fit to Photo")
    for _ in range(2):  # into moments that had the preview
        bpy.ops.ed.undo()
        assert everything() == before, "undoing a fit leaves nothing of its preview"
        assert shows(start)
    for _ in range(2):
        bpy.ops.ed.redo()
    assert everything() == after
    assert not bpy.data.images.get("Fit to Photo Preview Paint")


def test_nodes_taken_away_meanwhile(monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "endless")
    material = material_of_artist()
    before = everything()
    fit = begin()
    tree = material.node_tree
    tree.nodes.remove(next(node for node in tree.nodes if node.type == "TEX_IMAGE" and "Preview" in node.label))
    follow(fit)
    session.stop()
    assert everything() == before
    assert shows(GREEN)


def test_a_texture_alone_is_shown_and_the_mesh_left_alone(start):
    bpy.context.scene.fit_to_photo.geometry = False
    fit = begin()
    assert bpy.data.meshes["Cube"].shape_keys is None
    assert shows(RED)
    fit.cancel()
