"""Fits the visual hull of twelve real photographs of a plaster temple to them, in Blender, and judges it on four others.

    .venv/bin/pip install -e .[benchmarks]
    .venv/bin/python -m benchmarks.temple --data FOLDER [--output fit_to_photo_temple] [--quality standard]

FOLDER is Middlebury's templeSparseRing: ``templeSR_par.txt``, the photographs, and ``masks/``. Writes ``fitted.blend``,
``contact_sheet.png`` and ``report.json``, and prints one line per held-out view.
"""

import argparse
import json
from pathlib import Path

import bpy
import numpy as np
from scipy.ndimage import map_coordinates
from skimage.filters import gaussian
from skimage.measure import marching_cubes

import blender_addon
from blender_addon import command
from blender_addon.exchange.cameras import write_camera
from blender_addon.exchange.images import load_png
from dr_backend.scene import Camera

HELD_OUT = (4, 8, 12, 16)
LOW, HIGH = (-0.073568, 0.021728, -0.012445), (0.028855, 0.181892, 0.062736)  # the data's own bounding box, metres
MARGIN, VOXEL = 0.004, 0.0012
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


def carve(folder: Path, cameras: list[tuple[str, Camera]]) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of the visual hull: what lies inside the masks of all cameras that see it.

    A column between two pillars stays open, which no deformation of a sphere could reach.
    """
    steps = [np.arange(low - MARGIN, high + MARGIN, VOXEL) for low, high in zip(LOW, HIGH, strict=True)]
    points = np.stack(np.meshgrid(*steps, indexing="ij"), -1)
    inside = np.ones(points.shape[:3])
    for name, camera in cameras:
        mask = gaussian(load_png(folder / "masks" / name)[..., 0], 0.7)
        seen = points @ camera.camera_from_world[:3, :3].T + camera.camera_from_world[:3, 3]
        column = camera.centre_px[0] - 0.5 + camera.focal_px[0] * seen[..., 0] / -seen[..., 2]
        row = camera.centre_px[1] - 0.5 - camera.focal_px[1] * seen[..., 1] / -seen[..., 2]
        # beyond the picture's border nothing is known
        inside = np.minimum(inside, map_coordinates(mask, [row, column], order=1, cval=1.0))
    inside[[0, -1]] = inside[:, [0, -1]] = inside[:, :, [0, -1]] = 0.0
    vertices, faces, _, _ = marching_cubes(inside, 0.5)
    return vertices * VOXEL + [axis[0] for axis in steps], faces[:, ::-1]


def add_hull(folder: Path, cameras: list[tuple[str, Camera]]) -> bpy.types.Object:
    """The visual hull as a mesh with a grey material; the add-on makes its UV map."""
    vertices, faces = carve(folder, cameras)
    mesh = bpy.data.meshes.new("Temple")
    mesh.from_pydata(vertices.tolist(), [], faces.tolist())
    mesh.shade_smooth()
    material = bpy.data.materials.new("Plaster")
    material.use_nodes = True
    mesh.materials.append(material)
    obj = bpy.data.objects.new("Temple", mesh)
    bpy.context.scene.collection.objects.link(obj)
    print(f"Visual hull: {len(vertices)} vertices, {len(faces)} triangles")
    return obj


def main() -> int:
    """Builds the scene, fits, prints and saves; returns the exit code."""
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
        add_hull(options.data, [camera for index, camera in enumerate(cameras, 1) if index not in HELD_OUT])
        for obj in scene.objects:
            obj.select_set(True)
        bpy.context.view_layer.update()
        files = {"--output": "fitted.blend", "--report": "report.json", "--sheet": "contact_sheet.png"}
        paths = [word for option, name in files.items() for word in (option, str((options.output / name).resolve()))]
        code = command.run(["--quality", options.quality, *paths])
    finally:
        blender_addon.unregister()
    if code == 0:
        report = json.loads((options.output / "report.json").read_text("utf-8"))
        for view in report["cameras"]:
            if view["held_out"]:
                print(f"{view['name']}: mask IoU {view['mask_iou_after']:.3f}, PSNR {view['psnr_after']:.1f} dB")
        print(f"{report['seconds']} s on {report['device']} with {report['renderer']}")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
