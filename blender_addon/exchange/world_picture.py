"""Worlds of nodes that have no counterpart in a fit, turned into an image of the whole sky by Cycles, in a scene of its own."""

import math
import tempfile
from pathlib import Path

import bpy
import numpy as np

from .images import read_pixels

SIZE = (1024, 512)  # pixels
_SAMPLES = 16  # per pixel: the sun of a Sky Texture is hardly larger than one
_NAME = "Fit to Photo Sky"


def _asks_who_looks(tree: bpy.types.NodeTree) -> bool:
    """Whether a Light Path node may show a camera another world than surfaces see."""
    inside = (node.node_tree for node in tree.nodes if node.type == "GROUP" and node.node_tree is not None)
    return any(node.type == "LIGHT_PATH" for node in tree.nodes) or any(_asks_who_looks(group) for group in inside)


def _set_render(scene: bpy.types.Scene, path: str) -> None:
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    scene.render.film_transparent = scene.render.use_compositing = scene.render.use_sequencer = False
    scene.render.image_settings.file_format, scene.render.image_settings.color_depth = "OPEN_EXR", "32"
    scene.render.filepath = path
    scene.cycles.samples, scene.cycles.pixel_filter_type = _SAMPLES, "BOX"
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False


def _panorama(scene: bpy.types.Scene) -> tuple[bpy.types.Object, bpy.types.Camera]:
    """A camera that sees all directions as an environment image holds them: +x in the middle, +z at the top."""
    data = bpy.data.cameras.new(_NAME)
    data.type = "PANO"
    settings = data if hasattr(data, "panorama_type") else data.cycles  # Cycles' own before Blender 5
    settings.panorama_type = "EQUIRECTANGULAR"
    obj = bpy.data.objects.new(_NAME, data)
    obj.rotation_euler = (math.pi / 2, 0, -math.pi / 2)
    scene.collection.objects.link(obj)
    return obj, data


def picture_world(world: bpy.types.World) -> np.ndarray | None:
    """What surfaces see of the world in every direction, radiance (H, W, 3) as an environment image; None where only surfaces see it so,
    or Blender cannot render here. The file stays as it is."""
    if world.node_tree is None or _asks_who_looks(world.node_tree):
        return None
    scene = bpy.data.scenes.new(_NAME)
    blocks: list[bpy.types.ID] = []
    try:
        scene.world, scene.frame_current = world, bpy.context.scene.frame_current
        blocks += _panorama(scene)
        scene.camera = blocks[0]
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "sky.exr")
            _set_render(scene, path)
            bpy.ops.render.render(write_still=True, scene=scene.name)
            image = bpy.data.images.load(path)
            blocks.append(image)
            return np.ascontiguousarray(read_pixels(image)[..., :3])
    except RuntimeError:  # no Cycles here, or a render that is running: the caller says what it does instead
        return None
    finally:
        bpy.data.batch_remove((scene,))  # scenes.remove crashes Blender 4.3 where there is no window
        bpy.data.batch_remove(blocks)
