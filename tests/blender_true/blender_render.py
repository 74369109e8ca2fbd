"""Blender's own picture of the open scene: Cycles on the processor, direct light only, linear floats."""

import tempfile
from pathlib import Path

import bpy
import numpy as np

from blender_addon.exchange.alpha import find_alpha
from blender_addon.exchange.images import to_linear
from blender_addon.exchange.materials import base_color_socket, find_shader
from blender_addon.exchange.showing import show_input

THREADS = 2
SKY_MAP = 512  # texels of Cycles' map of where a sky is bright; making one of the usual size takes longer than the picture


def render(scene: bpy.types.Scene, samples: int, *, display: bool = False) -> np.ndarray:
    """Linear premultiplied pixels (H, W, 4), row 0 at the top, through a box filter one pixel wide.

    With ``display`` they are what a PNG of 16 bits in the Standard view holds, made linear again.
    """
    settings = scene.render
    settings.engine = "CYCLES"
    settings.resolution_percentage = 100
    settings.film_transparent = True
    settings.dither_intensity = 0
    settings.use_compositing = settings.use_sequencer = False
    settings.threads_mode, settings.threads = "FIXED", THREADS
    settings.image_settings.file_format = "PNG" if display else "OPEN_EXR"
    settings.image_settings.color_mode, settings.image_settings.color_depth = "RGBA", "16" if display else "32"
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    cycles = scene.cycles
    cycles.device, cycles.samples, cycles.seed = "CPU", samples, 1
    cycles.use_adaptive_sampling = cycles.use_denoising = False
    cycles.pixel_filter_type = "BOX"
    cycles.max_bounces = 0
    cycles.transparent_max_bounces = 16
    cycles.sample_clamp_direct = cycles.sample_clamp_indirect = 0
    cycles.blur_glossy = 0
    if scene.world is not None:
        scene.world.cycles.sampling_method, scene.world.cycles.sample_map_resolution = "MANUAL", SKY_MAP
    with tempfile.TemporaryDirectory() as folder:
        settings.filepath = str(Path(folder) / ("render.png" if display else "render.exr"))
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(settings.filepath)
        image.colorspace_settings.name, image.alpha_mode = "Non-Color", "CHANNEL_PACKED"
        width, height = image.size
        pixels = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
    rgba = pixels.reshape(height, width, 4)[::-1].copy()
    if display:
        rgba[..., :3] = to_linear(rgba[..., :3]) * rgba[..., 3:]
    return rgba


def show_base_colors() -> None:
    """Turns every material of the file into an emission of what feeds its base colour: the unlit look. Alpha stays."""
    for material in bpy.data.materials:
        if material.node_tree is not None and (found := find_shader(material)) is not None:
            show_input(material, base_color_socket(found.node), found.around, find_alpha(material, found))
