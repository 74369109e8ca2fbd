"""An empty Blender file with a camera, and short ways to put things in front of it. Data only: no operators but the file reset."""

import math
from collections.abc import Callable

import bpy
import numpy as np
from mathutils import Matrix

from blender_addon.exchange.images import write_image
from blender_addon.exchange.photos import write_photo

CUBE = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
CUBE_QUADS = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


class Studio:
    """The scene under construction. The world is black until ``world`` or ``sky`` lights it."""

    def __init__(self, side: int = 112) -> None:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        self.scene.render.resolution_x = self.scene.render.resolution_y = side
        self.meshes: list[bpy.types.Object] = []
        self.lights: list[bpy.types.Object] = []
        self.with_photo: Callable[[], None] = lambda: None  # done to the camera's photo
        self.before_cycles: Callable[[], None] = lambda: None  # what only Blender's picture gets
        self.after_cycles: Callable[[np.ndarray], np.ndarray] = lambda picture: picture
        self.camera = self.link(bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera")))
        self.aim((0, -6, 3.5))
        self.scene.camera = self.camera
        self.background((0, 0, 0), 0)

    # -- objects ------------------------------------------------------------------------------------------------------------------

    def link(self, obj: bpy.types.Object) -> bpy.types.Object:
        """The object, in the scene."""
        self.scene.collection.objects.link(obj)
        return obj

    @staticmethod
    def new_empty(name: str) -> bpy.types.Object:
        """An object without data, to be a parent."""
        return bpy.data.objects.new(name, None)

    def aim(self, eye: tuple[float, float, float], target: tuple[float, float, float] = (0, 0, 0), roll: float = 0.0) -> None:
        """Puts the camera at ``eye``, looking at ``target``, turned by ``roll`` radians around its axis."""
        self.look(self.camera, eye, target, roll)

    @staticmethod
    def look(obj: bpy.types.Object, eye: tuple[float, float, float], target: tuple[float, float, float], roll: float = 0.0) -> None:
        """Puts a camera or lamp at ``eye``, its local -z toward ``target``."""
        backward = np.subtract(eye, target).astype(float)
        yaw = math.atan2(backward[0], -backward[1])
        pitch = math.atan2(math.hypot(backward[0], backward[1]), backward[2])
        turn = Matrix.Rotation(yaw, 3, "Z") @ Matrix.Rotation(pitch, 3, "X") @ Matrix.Rotation(roll, 3, "Z")
        obj.location, obj.rotation_euler = eye, turn.to_euler()

    def mesh(self, name: str, vertices: list, faces: list, material: bpy.types.Material | None = None) -> bpy.types.Object:
        """A mesh object from points and polygons; matte where no material is given."""
        data = bpy.data.meshes.new(name)
        data.from_pydata([tuple(map(float, v)) for v in vertices], [], [tuple(map(int, f)) for f in faces])
        data.materials.append(material or self.diffuse())
        return self.add(bpy.data.objects.new(name, data))

    def add(self, obj: bpy.types.Object) -> bpy.types.Object:
        """A mesh object, linked and rendered by both."""
        self.meshes.append(self.link(obj))
        return obj

    def box(self, material: bpy.types.Material | None = None, name: str = "Box") -> bpy.types.Object:
        """A cube of side 2 around the origin."""
        return self.mesh(name, CUBE, CUBE_QUADS, material)

    def plane(self, material: bpy.types.Material | None = None, half: float = 2.0, name: str = "Plane") -> bpy.types.Object:
        """A square on the ground with the whole image on it."""
        obj = self.mesh(name, [(-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0)], [(0, 1, 2, 3)], material)
        self.uv_map(obj, [(0, 0), (1, 0), (1, 1), (0, 1)])
        return obj

    def ball(
        self, material: bpy.types.Material | None = None, *, smooth: bool = True, segments: int = 32, rings: int = 16, name: str = "Ball"
    ) -> bpy.types.Object:
        """A unit ball of quads and triangles, with the image wrapped around it."""
        rows = [(0.0, 0.0, 1.0)]
        for ring in range(1, rings):
            for s in range(segments):
                theta, phi = math.pi * ring / rings, 2 * math.pi * s / segments
                rows.append((math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta)))
        rows.append((0.0, 0.0, -1.0))
        faces, uvs = [], []
        last = len(rows) - 1
        for ring in range(rings):
            for s in range(segments):
                t, u0, u1, v0, v1 = (s + 1) % segments, s / segments, (s + 1) / segments, 1 - ring / rings, 1 - (ring + 1) / rings
                a, b = 1 + (ring - 1) * segments, 1 + ring * segments
                if ring == 0:
                    faces.append((0, b + s, b + t))
                    uvs += [((u0 + u1) / 2, v0), (u0, v1), (u1, v1)]
                elif ring == rings - 1:
                    faces.append((a + s, last, a + t))
                    uvs += [(u0, v0), ((u0 + u1) / 2, v1), (u1, v0)]
                else:
                    faces.append((a + s, b + s, b + t, a + t))
                    uvs += [(u0, v0), (u0, v1), (u1, v1), (u1, v0)]
        obj = self.mesh(name, rows, faces, material)
        self.uv_map(obj, uvs)
        obj.data.polygons.foreach_set("use_smooth", np.full(len(faces), smooth))
        return obj

    @staticmethod
    def uv_map(obj: bpy.types.Object, uvs: object, name: str = "UVMap") -> None:
        """Adds a UV map with one coordinate per corner."""
        layer = obj.data.uv_layers.new(name=name)
        layer.uv.foreach_set("vector", np.asarray(uvs, np.float32).ravel())

    # -- light --------------------------------------------------------------------------------------------------------------------

    def lamp(
        self,
        kind: str,
        energy: float,
        eye: tuple[float, float, float] = (2.0, -1.5, 3.0),
        target: tuple[float, float, float] = (0, 0, 0),
        color: tuple[float, float, float] = (1.0, 0.9, 0.7),
        **settings: object,
    ) -> bpy.types.Object:
        """A lamp at ``eye`` that points at ``target``; a point without size, and without shadow unless ``settings`` say otherwise."""
        data = bpy.data.lights.new(kind.title(), kind)
        data.energy, data.color = energy, color
        data.use_shadow = False
        if kind == "SUN":
            data.angle = 0.0
        elif kind != "AREA":
            data.shadow_soft_size = 0.0
        for name, value in settings.items():
            setattr(data, name, value)
        obj = self.link(bpy.data.objects.new(kind.title(), data))
        self.look(obj, eye, target)
        self.lights.append(obj)
        return obj

    def background(self, color: tuple[float, float, float], strength: float) -> bpy.types.Node:
        """A world of one colour; its Background node."""
        world = self.scene.world or bpy.data.worlds.new("World")
        self.scene.world = world
        if not world.use_nodes:
            world.use_nodes = True
        node = next(n for n in world.node_tree.nodes if n.type == "BACKGROUND")
        node.inputs["Color"].default_value, node.inputs["Strength"].default_value = (*color, 1), strength
        return node

    def tint_lights(self, tint: tuple[float, float, float]) -> None:
        """Multiplies the colour of every lamp and of the world."""
        for lamp in self.lights:
            lamp.data.color = np.multiply(lamp.data.color, tint)
        color = next(n for n in self.scene.world.node_tree.nodes if n.type == "BACKGROUND").inputs["Color"]
        color.default_value = (*np.multiply(color.default_value[:3], tint), 1)

    # -- materials ----------------------------------------------------------------------------------------------------------------

    def diffuse(self, color: tuple[float, float, float] = (0.8, 0.5, 0.2), name: str = "Matte") -> bpy.types.Material:
        """A Diffuse BSDF alone."""
        material = self._empty(name)
        tree = material.node_tree
        shader = tree.nodes.new("ShaderNodeBsdfDiffuse")
        shader.inputs["Color"].default_value = (*color, 1)
        tree.links.new(shader.outputs[0], tree.get_output_node("ALL").inputs["Surface"])
        return material

    def principled(self, name: str = "Paint", **values: object) -> bpy.types.Material:
        """A Principled BSDF; keywords are its inputs' names with underscores for spaces."""
        material = self._empty(name)
        tree = material.node_tree
        shader = tree.nodes.new("ShaderNodeBsdfPrincipled")
        for key, value in values.items():
            wanted = key.replace("_", " ").lower()
            socket = next(s for s in shader.inputs if s.name.lower() == wanted)
            socket.default_value = (*value, 1) if socket.type == "RGBA" else value
        tree.links.new(shader.outputs[0], tree.get_output_node("ALL").inputs["Surface"])
        return material

    @staticmethod
    def _empty(name: str) -> bpy.types.Material:
        material = bpy.data.materials.new(name)
        if not material.use_nodes:
            material.use_nodes = True
        material.node_tree.nodes.clear()
        material.node_tree.nodes.new("ShaderNodeOutputMaterial")
        return material

    @staticmethod
    def shader(material: bpy.types.Material) -> bpy.types.Node:
        """The material's BSDF."""
        return next(n for n in material.node_tree.nodes if n.type.startswith("BSDF"))

    def image_node(
        self,
        material: bpy.types.Material,
        image: bpy.types.Image,
        socket: str = "Color",
        extension: str = "REPEAT",
        interpolation: str = "Linear",
    ) -> bpy.types.Node:
        """An Image Texture node that feeds an input of the material's BSDF."""
        node = material.node_tree.nodes.new("ShaderNodeTexImage")
        node.image, node.extension, node.interpolation = image, extension, interpolation
        material.node_tree.links.new(node.outputs["Color"], self.shader(material).inputs[socket])
        return node

    @staticmethod
    def picture(size: tuple[int, int] = (12, 8), name: str = "Picture") -> bpy.types.Image:
        """A colourful 8-bit image of random texels (width, height)."""
        return write_image(name, np.random.default_rng(7).random((size[1], size[0], 3), np.float32))

    def finish(self) -> None:
        """Gives the camera a photo of the render's size and brings every transform up to date."""
        size = self.scene.render.resolution_x, self.scene.render.resolution_y
        write_photo(self.camera, write_image("Photo", np.zeros((size[1], size[0], 3), np.float32)))
        self.with_photo()
        bpy.context.view_layer.update()
