"""Presets: those that come with the add-on, and the user's own in Blender's folder."""

from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.operators.presets import BUILT_IN, SUBDIR  # noqa: E402

NAME = "Fit to Photo Test Preset"


@pytest.fixture
def folder():
    """Blender's folder for our presets, without the test's own before and after."""
    presets = Path(bpy.utils.user_resource("SCRIPTS")) / "presets" / SUBDIR
    file = presets / f"{bpy.path.display_name_to_filepath(NAME).replace(' ', '_')}.py"
    file.unlink(missing_ok=True)
    yield presets
    file.unlink(missing_ok=True)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_presets_say_what_is_fitted(scene, name):
    settings = scene.fit_to_photo
    settings.quality, settings.stiffness, settings.seed = "high", 5, 7
    assert bpy.ops.fit_to_photo.use_preset(name=name) == {"FINISHED"}
    assert (settings.geometry, settings.texture) == ("Geometry" in name, "Texture" in name)
    assert (settings.quality, settings.stiffness, settings.seed) == ("standard", 1, 7)


def test_own_presets_are_saved_used_and_removed(scene, folder):
    settings = scene.fit_to_photo
    settings.geometry, settings.texture = False, True
    settings.quality, settings.stiffness, settings.texture_size, settings.seed = "draft", 3, 2048, 4
    assert bpy.ops.fit_to_photo.add_preset(name=NAME) == {"FINISHED"}
    (file,) = [file for file in folder.iterdir() if "test" in file.name.lower()]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    settings = bpy.context.scene.fit_to_photo
    assert (settings.quality, settings.texture_size) == ("standard", 0)
    bpy.ops.script.execute_preset(filepath=str(file), menu_idname="FITTOPHOTO_MT_presets")
    assert (settings.geometry, settings.texture, settings.quality) == (False, True, "draft")
    assert (settings.stiffness, settings.texture_size) == (3, 2048)
    assert settings.seed == 0, "the seed is not the preset's"
    assert bpy.ops.fit_to_photo.add_preset(name=NAME, remove_name=True) == {"FINISHED"}
    assert not file.exists()
