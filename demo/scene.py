"""Builds the demo: photographs of a known object, and the plain ball that the fit turns into it.

Everything is made here, from Blender's own monkey head and a procedural coat of paint; no file is downloaded.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import bpy
from mathutils import Euler, Vector

PHOTO_SIZE = 512
SAMPLES = 32
RINGS = ((5, 0.42, 0.0), (4, -0.30, 0.5), (3, 0.10, 0.25))  # cameras, sine of the elevation, turn in steps
HELD_OUT = (9, 10, 11)  # the third ring looks from between the others: it judges the fit and is never shown to it
DISTANCE = 6.2
LENS_MM = 66.0
FRONT_BACK_MIX = 0.42, 0.25  # turns the object's y into 0 at the face and 1 at the back of the head
# Positions from face to back, linear colours.
COAT = (
    (0.30, (0.90, 0.74, 0.50)),
    (0.42, (0.85, 0.22, 0.09)),
    (0.54, (0.92, 0.55, 0.14)),
    (0.60, (0.02, 0.24, 0.27)),
    (0.85, (0.02, 0.11, 0.20)),
)
SPOTS = ((0.34, (0.86, 0.42, 0.26)), (0.46, (0.10, 0.38, 0.42)))
# Name, strength in W/m², colour, Euler angles.
SUNS = (("Sun", 1.9, (1.0, 0.93, 0.82), (0.75, 0.25, 0.6)), ("Fill", 0.5, (0.8, 0.88, 1.0), (1.1, 0.0, -2.2)))


def build(photo_folder: Path, say: Callable[[str], None], size: int = PHOTO_SIZE, samples: int = SAMPLES) -> None:
    """Replaces the scene by the demo's start: cameras with photographs, lights, and an icosphere named Ball, all selected.

    Add-ons stay as they are. The photographs are square RGBA PNGs, ``size`` pixels wide, with ``samples`` rays per pixel,
    in ``photo_folder``, which is created; ``say`` gets a line per photograph.
    """
    photo_folder.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    _set_up_render(size, samples)
    _add_lights()
    cameras = [_add_camera(index, place) for index, place in enumerate(_places())]
    target = _add_target()
    for index, camera in enumerate(cameras):
        path = photo_folder / f"{camera.name}.png"
        _photograph(camera, path)
        _show_photo(camera, path)
        camera.fit_to_photo.held_out = index in HELD_OUT
        say(f"  photograph {index + 1} of {len(cameras)}: {path.name}")
    extent = target.dimensions.copy()
    centre = sum((target.matrix_world @ Vector(corner) for corner in target.bound_box), Vector()) / 8
    material = target.data.materials[0]
    bpy.data.objects.remove(target)
    bpy.data.materials.remove(material)
    _add_ball(centre, extent)
    bpy.ops.object.select_all(action="SELECT")


def _set_up_render(size: int, samples: int) -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.use_denoising = False
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"


def _add_lights() -> None:
    world = bpy.data.worlds.new("Sky")
    bpy.context.scene.world = world
    if world.node_tree is None:  # before Blender 5 a world has nodes only when asked
        world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.62, 0.72, 0.86, 1.0)
    background.inputs["Strength"].default_value = 0.55
    for name, energy, color, angles in SUNS:
        data = bpy.data.lights.new(name, "SUN")
        data.energy, data.color, data.use_shadow = energy, color, False
        lamp = bpy.data.objects.new(name, data)
        lamp.rotation_euler = angles
        lamp.location = Euler(angles).to_matrix() @ Vector((0, 0, 5))
        bpy.context.scene.collection.objects.link(lamp)


def _places() -> list[Vector]:
    """Directions from the object to the cameras: three rings around it."""
    places = []
    for count, rise, turn in RINGS:
        places += [(rise, 2 * math.pi * (step + turn) / count - math.pi / 2) for step in range(count)]
    return [Vector((math.cos(a) * math.sqrt(1 - s * s), math.sin(a) * math.sqrt(1 - s * s), s)) for s, a in places]


def _add_camera(index: int, direction: Vector) -> bpy.types.Object:
    data = bpy.data.cameras.new(f"Photo {index + 1:02d}")
    data.lens = LENS_MM
    camera = bpy.data.objects.new(data.name, data)
    camera.location = direction * DISTANCE
    camera.rotation_euler = (-direction).to_track_quat("-Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(camera)
    return camera


def _add_target() -> bpy.types.Object:
    bpy.ops.mesh.primitive_monkey_add(size=2.2)
    monkey = bpy.context.object
    monkey.name = "Model"
    subdivision = monkey.modifiers.new("Smooth", "SUBSURF")
    subdivision.levels = subdivision.render_levels = 3
    monkey.data.polygons.foreach_set("use_smooth", [True] * len(monkey.data.polygons))
    monkey.data.materials.append(_paint())
    bpy.context.view_layer.update()
    return monkey


def _paint() -> bpy.types.Material:
    """A toy maker's coat: pale face, coral border, teal back, and spots. Detail everywhere for eye and fit to hold on to."""
    material = _new_material("Paint")
    tree = material.node_tree
    surface = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    _make_matte(surface)
    place = tree.nodes.new("ShaderNodeTexCoord")
    depth = _front_to_back(tree, place.outputs["Object"])
    coat, spots = _ramp(tree, COAT), _ramp(tree, SPOTS)
    tree.links.new(depth, coat.inputs["Fac"])
    tree.links.new(depth, spots.inputs["Fac"])
    dots = tree.nodes.new("ShaderNodeTexVoronoi")
    dots.inputs["Scale"].default_value = 3.4
    dots.inputs["Randomness"].default_value = 0.55
    inside = _ramp(tree, ((0.22, (1.0, 1.0, 1.0)), (0.32, (0.0, 0.0, 0.0))))
    mix = tree.nodes.new("ShaderNodeMixRGB")
    tree.links.new(spots.outputs["Color"], mix.inputs["Color2"])
    tree.links.new(place.outputs["Object"], dots.inputs["Vector"])
    tree.links.new(dots.outputs["Distance"], inside.inputs["Fac"])
    tree.links.new(inside.outputs["Color"], mix.inputs["Fac"])
    tree.links.new(coat.outputs["Color"], mix.inputs["Color1"])
    tree.links.new(mix.outputs["Color"], surface.inputs["Base Color"])
    return material


def _front_to_back(tree: bpy.types.NodeTree, place: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """A number that grows from the face to the back of the head, waved by noise."""
    axes = tree.nodes.new("ShaderNodeSeparateXYZ")
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = 2.2
    noise.inputs["Detail"].default_value = 1.0
    scaled = tree.nodes.new("ShaderNodeMath")
    scaled.operation = "MULTIPLY_ADD"
    scaled.inputs[1].default_value, scaled.inputs[2].default_value = FRONT_BACK_MIX
    total = tree.nodes.new("ShaderNodeMath")
    total.operation = "MULTIPLY_ADD"
    total.inputs[1].default_value = 0.5
    tree.links.new(place, axes.inputs["Vector"])
    tree.links.new(place, noise.inputs["Vector"])
    tree.links.new(axes.outputs["Y"], scaled.inputs[0])
    tree.links.new(noise.outputs["Fac"], total.inputs[0])
    tree.links.new(scaled.outputs[0], total.inputs[2])
    return total.outputs[0]


def _ramp(tree: bpy.types.NodeTree, stops: Sequence[tuple[float, tuple[float, float, float]]]) -> bpy.types.Node:
    """A colour ramp with these positions and linear colours."""
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    elements = ramp.color_ramp.elements
    while len(elements) < len(stops):
        elements.new(0.5)
    for element, (position, color) in zip(elements, stops, strict=True):
        element.position, element.color = position, (*color, 1.0)
    return ramp


def _new_material(name: str) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:  # before Blender 5 a material has nodes only when asked
        material.use_nodes = True
    return material


def _make_matte(surface: bpy.types.Node) -> None:
    surface.inputs["Roughness"].default_value = 1.0
    surface.inputs["Specular IOR Level"].default_value = 0.0


def _photograph(camera: bpy.types.Object, path: Path) -> None:
    scene = bpy.context.scene
    scene.camera = camera
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def _show_photo(camera: bpy.types.Object, path: Path) -> None:
    """Makes the photograph the camera's background image: where artists put photos, and where the add-on looks."""
    camera.data.show_background_images = True
    background = camera.data.background_images.new()
    background.image = bpy.data.images.load(str(path))
    background.alpha = 0.5


def _add_ball(centre: Vector, extent: Vector) -> None:
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=6, radius=1.0, location=centre, calc_uvs=True)
    ball = bpy.context.object
    ball.name = "Ball"
    ball.scale = extent * 0.45
    ball.data.polygons.foreach_set("use_smooth", [True] * len(ball.data.polygons))
    material = _new_material("Grey")
    surface = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    surface.inputs["Base Color"].default_value = (0.5, 0.5, 0.5, 1.0)
    _make_matte(surface)
    ball.data.materials.append(material)
