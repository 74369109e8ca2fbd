"""Runs inside Blender, where the built extension is installed: builds the demo at 128² and fits it with the operator.

``blender -b --python fit_in_blender.py -- FOLDER``, with ``demo/scene.py`` beside this file. Leaves ``start.blend`` and
``operator.json`` in FOLDER; the checks are made outside, by run.py.
"""

import json
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parent))

import scene  # noqa: E402


def build(folder: Path) -> None:
    """The demo at 128², without every third camera, Draft quality."""
    scene.build(folder / "photos", print, size=128, samples=8)
    for index, camera in enumerate([o for o in bpy.data.objects if o.type == "CAMERA"]):
        if index % 3 == 2:
            bpy.data.objects.remove(camera)
    bpy.context.scene.fit_to_photo.quality = "draft"
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "start.blend"))


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


main()
