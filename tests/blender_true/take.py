"""Builds a fixture in the running Blender and takes what is needed of it."""

from blender_addon.exchange import read_scene

from . import blender_render
from .fixture import Fixture
from .studio import Studio
from .taken import Taken


def take(fixture: Fixture) -> Taken:
    """The fixture in an empty file: read, then rendered by Cycles."""
    studio = Studio()
    fixture.build(studio)
    studio.finish()
    exported = read_scene(studio.scene, studio.meshes, [studio.camera], studio.lights, geometry=False, texture=False, lit=fixture.lit)
    if not fixture.lit:
        blender_render.show_base_colors()
    studio.before_cycles()
    cycles = studio.after_cycles(blender_render.render(studio.scene, fixture.samples, display=fixture.display))
    return Taken(exported.scene, studio.camera.name, cycles, exported.warnings)
