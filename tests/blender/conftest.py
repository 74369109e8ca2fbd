"""Scenes in a real Blender: every test starts from an empty factory file."""

from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs Blender as a Python module (pip install bpy)")

from blender_addon.exchange.images import write_image  # noqa: E402
from blender_addon.exchange.photos import write_photo  # noqa: E402

CUBE = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
QUADS = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def apart(mesh):
    """UVs (L, 2) that give every polygon a cell of its own, in which it lies turned at random."""
    side, turns = int(np.ceil(np.sqrt(len(mesh.polygons)))), np.random.default_rng(0)
    uvs = np.empty((len(mesh.loops), 2), np.float32)
    for polygon in mesh.polygons:
        angles = turns.random() + np.arange(polygon.loop_total) * 2 * np.pi / polygon.loop_total
        around = np.stack([np.cos(angles), np.sin(angles)], 1) * turns.uniform(0.2, 0.45)
        uvs[polygon.loop_indices] = (np.array(divmod(polygon.index, side)) + 0.5 + around) / side
    return uvs


class Build:
    """Makes objects in the empty file, with ``bpy.data`` alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scene = bpy.context.scene
        self.scene.render.resolution_x, self.scene.render.resolution_y = 64, 48

    def link(self, obj):
        self.scene.collection.objects.link(obj)
        bpy.context.view_layer.update()
        return obj

    def mesh(self, name="Cube", vertices=CUBE, faces=QUADS, *, uvs=True, material="Paint", color=(0.8, 0.2, 0.1)):
        data = bpy.data.meshes.new(name)
        data.from_pydata(vertices, [], faces)
        if uvs:
            layer = data.uv_layers.new(name="UVMap")
            layer.uv.foreach_set("vector", apart(data).ravel())
        if material:
            data.materials.append(self.material(material, color))
        return self.link(bpy.data.objects.new(name, data))

    def material(self, name="Paint", color=(0.8, 0.2, 0.1)):
        block = bpy.data.materials.new(name)
        if not block.use_nodes:
            block.use_nodes = True
        principled = block.node_tree.nodes["Principled BSDF"]
        principled.inputs["Base Color"].default_value = (*color, 1)
        principled.inputs["Specular IOR Level"].default_value = 0
        return block

    def image(self, name="Photo", size=(64, 48), seed=0):
        return write_image(name, np.random.default_rng(seed).random((size[1], size[0], 3), np.float32))

    def camera(self, name="Front", size=(64, 48), *, photo=True, mask=None):
        obj = bpy.data.objects.new(name, bpy.data.cameras.new(name))
        obj.location, obj.rotation_euler = (0, -8, 0), (np.pi / 2, 0, 0)
        if photo:
            write_photo(obj, self.image(f"{name} photo", size), mask)
        return self.link(obj)

    def light(self, name="Lamp", kind="POINT"):
        obj = bpy.data.objects.new(name, bpy.data.lights.new(name, kind))
        obj.location = (3, -4, 5)
        return self.link(obj)


@pytest.fixture
def build(tmp_path):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return Build(tmp_path)


def evaluated_positions(obj):
    """The object's vertices as Blender evaluates them, (V, 3) float32."""
    bpy.context.view_layer.update()
    mesh = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    flat = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", flat)
    return flat.reshape(-1, 3)


def fingerprint():
    """What a user would notice: counts of data-blocks, mesh contents, links of materials."""
    meshes = {}
    for obj in bpy.data.objects:
        if obj.type != "MESH":
            continue
        mesh = obj.data
        co = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.vertices.foreach_get("co", co)
        keys = [(k.name, k.value) for k in mesh.shape_keys.key_blocks] if mesh.shape_keys else []
        uvs = []
        for layer in mesh.uv_layers:
            values = np.empty(len(layer.uv) * 2, np.float32)  # Blender shows none in Edit Mode
            layer.uv.foreach_get("vector", values)
            uvs.append((layer.name, layer.active_render, values.tobytes()))
        slots = [slot.material.name if slot.material else None for slot in obj.material_slots]
        meshes[obj.name] = (co.tobytes(), keys, uvs, slots, sorted(mesh.keys()), [v.name for v in obj.vertex_groups])
    links = {
        m.name: (m.use_nodes, sorted(m.keys()), sorted(n.name for n in m.node_tree.nodes) if m.node_tree else [],
                 sorted((k.from_node.name, k.to_node.name, k.to_socket.name) for k in m.node_tree.links) if m.node_tree else [])
        for m in bpy.data.materials
    }  # fmt: skip
    kinds = ("objects", "meshes", "scenes", "images", "shape_keys")
    counts = {kind: sorted(b.name for b in getattr(bpy.data, kind) if b.name != "Render Result") for kind in kinds}
    return meshes, links, counts
