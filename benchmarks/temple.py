"""Fits an ellipsoid to twelve real photographs of a plaster temple, in Blender, and judges it on four others.

    .venv/bin/python benchmarks/temple.py --data FOLDER [--output fit_to_photo_temple] [--quality standard]

FOLDER is Middlebury's templeSparseRing: ``templeSR_par.txt``, the photographs, and ``masks/``. Writes ``fitted.blend``,
``contact_sheet.png`` and ``report.json``, and prints one line per held-out view.
"""

import argparse
import json
import time
from pathlib import Path

import bpy
import numpy as np

import blender_addon
from blender_addon.exchange.cameras import write_camera
from dr_backend.scene import Camera

HELD_OUT = (4, 8, 12, 16)
OPENCV_FROM_BLENDER = np.diag([1.0, -1.0, -1.0, 1.0])


def load_cameras(folder: Path) -> list[tuple[str, Camera]]:
    """File name and camera of each line of the parameter file; pixel ∝ K (R X + t), x right, y down, z forward."""
    cameras = []
    for line in (folder / "templeSR_par.txt").read_text().splitlines()[1:]:
        name, *numbers = line.split()
        values = np.array(numbers, float)
        k, rotation, translation = values[:9].reshape(3, 3), values[9:18].reshape(3, 3), values[18:]
        opencv_from_world = np.eye(4)
        opencv_from_world[:3, :3], opencv_from_world[:3, 3] = rotation, translation
        # the file counts pixel centres as whole numbers, we count their corners
        centre = np.array([k[0, 2] + 0.5, k[1, 2] + 0.5])
        camera = Camera(OPENCV_FROM_BLENDER @ opencv_from_world, np.array([k[0, 0], k[1, 1]]), centre, (640, 480), near=0.01)
        cameras.append((name, camera))
    return cameras


def add_camera(folder: Path, name: str, camera: Camera, held_out: bool) -> bpy.types.Object:
    """A Blender camera with its photograph and mask as background images."""
    data = bpy.data.cameras.new(Path(name).stem)
    obj = bpy.data.objects.new(Path(name).stem, data)
    bpy.context.scene.collection.objects.link(obj)
    write_camera(obj, camera)
    data.clip_start = camera.near
    data.show_background_images = True
    for path in (folder / name, folder / "masks" / name):
        background = data.background_images.new()
        background.image = bpy.data.images.load(str(path.resolve()))
    data.background_images[1].image.colorspace_settings.name = "Non-Color"
    obj.fit_to_photo.held_out = held_out
    return obj


def add_ellipsoid(low: np.ndarray, high: np.ndarray) -> bpy.types.Object:
    """A sphere with UVs and a grey material that fills the box."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=160, ring_count=100, radius=1.0, location=(low + high) / 2, calc_uvs=True)
    obj = bpy.context.object
    obj.name = "Temple"
    obj.scale = (high - low) / 2
    obj.data.shade_smooth()
    material = bpy.data.materials.new("Plaster")
    material.use_nodes = True
    obj.data.materials.append(material)
    return obj


def main() -> None:
    """Builds the scene, fits, prints and saves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("fit_to_photo_temple"))
    parser.add_argument("--quality", default="standard")
    options = parser.parse_args()
    options.output.mkdir(exist_ok=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    blender_addon.register()
    try:
        scene = bpy.context.scene
        scene.render.resolution_x, scene.render.resolution_y = 640, 480
        cameras = load_cameras(options.data)
        fx, fy = cameras[0][1].focal_px
        scene.render.pixel_aspect_x = fy / fx  # the photographs' pixels are not quite square
        for index, (name, camera) in enumerate(cameras, 1):
            add_camera(options.data, name, camera, index in HELD_OUT)
        add_ellipsoid(np.array([-0.073568, 0.021728, -0.012445]), np.array([0.028855, 0.181892, 0.062736]))
        for obj in scene.objects:
            obj.select_set(True)
        scene.fit_to_photo.quality = options.quality
        start = time.monotonic()
        bpy.ops.fit_to_photo.run()
        report = json.loads(scene.fit_to_photo.last_report)
        report["total_seconds"] = round(time.monotonic() - start, 1)
        (options.output / "report.json").write_text(json.dumps(report, indent=1))
        for view in report["cameras"]:
            if view["held_out"]:
                print(f"{view['name']}: mask IoU {view['mask_iou_after']:.3f}, PSNR {view['psnr_after']:.1f} dB")
        print(f"{report['total_seconds']} s")
        bpy.ops.wm.save_as_mainfile(filepath=str((options.output / "fitted.blend").resolve()))
    finally:
        blender_addon.unregister()


if __name__ == "__main__":
    main()
