"""Runs inside Blender, where the built extension is installed: builds the demo at 128² and fits it with the operator.

``blender -b --python fit_in_blender.py -- FOLDER``, with ``demo/scene.py`` beside this file. Leaves in FOLDER ``start.blend``,
``operator.json``, and for the tour of a window ``bare.blend`` without cameras, ``picked`` photos and ``cameras.json``; the checks are
made outside, by run.py.
"""

import json
import shutil
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parent))

import scene  # noqa: E402

PICKED = 6  # photos for the tour of a window, where a fit should not take long


def build(folder: Path) -> None:
    """The demo at 128², without every third camera, Draft quality."""
    scene.build(folder / "photos", print, size=128, samples=8)
    for index, camera in enumerate([o for o in bpy.data.objects if o.type == "CAMERA"]):
        if index % 3 == 2:
            bpy.data.objects.remove(camera)
    bpy.context.scene.fit_to_photo.quality = "draft"
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "start.blend"))


def strip(folder: Path) -> None:
    """The start without its cameras, whose photos and places lie beside it."""
    bpy.ops.wm.open_mainfile(filepath=str(folder / "start.blend"))
    (folder / "picked").mkdir()
    places = {}
    for camera in [o for o in bpy.data.objects if o.type == "CAMERA"]:
        if len(places) < PICKED:
            shutil.copy(folder / "photos" / f"{camera.name}.png", folder / "picked")
            places[camera.name] = {"matrix": [list(row) for row in camera.matrix_world], "lens": camera.data.lens}
        bpy.data.objects.remove(camera)
    for data in (*bpy.data.images, *bpy.data.cameras):
        (bpy.data.images if isinstance(data, bpy.types.Image) else bpy.data.cameras).remove(data)
    for obj in bpy.context.scene.objects:
        obj.select_set(obj.name == "Ball")
    bpy.context.view_layer.objects.active = bpy.data.objects["Ball"]
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "bare.blend"))
    (folder / "cameras.json").write_text(json.dumps(places), "utf-8")


def state() -> dict[str, object]:
    """What the fit changes: shape keys, the image behind the base colour, the report."""
    ball = bpy.data.objects["Ball"]
    keys = ball.data.shape_keys
    moved = 0.0
    if keys is not None and len(keys.key_blocks) > 1:
        basis, fitted = keys.key_blocks[0], keys.key_blocks[-1]
        moved = max((a.co - b.co).length for a, b in zip(basis.data, fitted.data, strict=True))
    nodes = [node for slot in ball.material_slots for node in slot.material.node_tree.nodes]
    stored = bpy.context.scene.fit_to_photo.last_report
    return {
        "shape_keys": [key.name for key in keys.key_blocks] if keys else [],
        "moved": moved,
        "images": [node.image.name for node in nodes if node.type == "TEX_IMAGE" and node.image],
        "report": json.loads(stored) if stored else {},
    }


def main() -> None:
    """Builds, fits, saves, reverts."""
    folder = Path(sys.argv[sys.argv.index("--") + 1])
    build(folder)
    answer = bpy.ops.fit_to_photo.run()
    found = {"blender": bpy.app.version_string, "answer": sorted(answer), "fitted": state()}
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "operator.blend"), copy=True)
    bpy.ops.fit_to_photo.revert()
    found["reverted"] = state()
    (folder / "operator.json").write_text(json.dumps(found), "utf-8")
    strip(folder)


main()
