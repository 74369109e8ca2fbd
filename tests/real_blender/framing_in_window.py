"""Run by a Blender with a window: does the camera view draw a photo where ``read_photo_camera`` says it is?

    blender --factory-startup --window-geometry 0 0 1600 900 --python framing_in_window.py -- FOLDER

Photos with coloured dots are drawn under many framings. On a screenshot each dot has to lie where Blender itself projects the point
of space that the exported camera sees under that dot. Writes framing.json into FOLDER, and the screenshots of the worst and of the
first case. The window must lie at the screen's upper left; ImageMagick's ``import`` takes the screenshots.
"""

import itertools
import json
import math
import os
import subprocess
import sys
import traceback
from pathlib import Path

import bpy
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from mathutils import Matrix, Vector

FOLDER = Path(sys.argv[sys.argv.index("--") + 1])
sys.path.insert(0, str(FOLDER / "source"))

import blender_addon  # noqa: E402
from blender_addon.exchange.photos import read_photo, read_photo_camera  # noqa: E402

DOTS = {(1, 0, 0): (0.3, 0.3), (0, 1, 0): (0.7, 0.35), (0, 0, 1): (0.35, 0.75), (1, 1, 0): (0.6, 0.6)}  # colour: place on the photo
RADIUS = 0.05  # of the photo's shorter side


def make_photo(name, width, height):
    image = bpy.data.images.new(name, width, height, alpha=False)
    row, column = np.mgrid[0:height, 0:width] + 0.5
    pixels = np.full((height, width, 4), (0.5, 0.5, 0.5, 1), np.float32)
    for color, (x, y) in DOTS.items():
        near = np.hypot(column - x * width, row - y * height) < RADIUS * min(width, height)
        pixels[near] = (*color, 1)
    image.pixels.foreach_set(pixels[::-1].ravel())
    image.update()
    image.pack()
    return image


def cases():
    """Every method with every shape, and each setting alone and together."""
    moves = [
        {},
        {"offset": (0.1, -0.06)},
        {"scale": 0.8},
        {"rotation": 0.4},
        {"use_flip_x": True},
        {"use_flip_y": True},
        {"offset": (-0.08, 0.05), "scale": 0.7, "rotation": -1.2, "use_flip_x": True},
    ]
    views = [
        ((800, 500), {}),
        ((500, 800), {"sensor_fit": "VERTICAL", "shift_x": 0.1, "shift_y": -0.05}),
        ((600, 600), {"type": "ORTHO", "shift_x": -0.07}),
        ((500, 700), {"sensor_fit": "HORIZONTAL"}),
    ]
    for index, (method, photo, move) in enumerate(itertools.product(("STRETCH", "FIT", "CROP"), ((640, 480), (480, 640)), moves)):
        render, camera = views[(index + index // 7) % 4]
        yield method, photo, render if method != "STRETCH" else photo, camera, move


def set_up(case):
    method, photo, render, camera, move = case
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = render
    obj = scene.camera
    data = bpy.data.cameras.new("Camera")
    obj.data = data
    data.show_passepartout = False
    data.ortho_scale = 5
    for name, value in camera.items():
        setattr(data, name, value)
    data.show_background_images = True
    background = data.background_images.new()
    background.image = bpy.data.images[f"Photo {photo[0]}"]
    background.alpha, background.frame_method = 1, method
    for name, value in move.items():
        setattr(background, name, value)


def area():
    return next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == "VIEW_3D")


def expected():
    """Screen pixel of every dot, by the exported camera and Blender's projection."""
    obj = bpy.context.scene.camera
    camera, photo = read_photo_camera(obj, bpy.context.scene), read_photo(obj)[0]
    places = {}
    region = next(r for r in area().regions if r.type == "WINDOW")
    for color in DOTS:
        row, column = np.nonzero((np.abs(photo.rgb - color) < 0.1).all(-1))  # flips move the dots
        x = (column.mean() + 0.5 - camera.centre_px[0]) / camera.focal_px[0]
        y = (camera.centre_px[1] - row.mean() - 0.5) / camera.focal_px[1]
        depth = 4.0
        ray = (x, y, -depth) if camera.projection == "orthographic" else (x * depth, y * depth, -depth)
        world = Matrix(np.linalg.inv(camera.camera_from_world.astype(np.float64)).tolist()) @ Vector(ray)
        place = location_3d_to_region_2d(region, area().spaces.active.region_3d, world)
        places[color] = (region.x + place.x, region.y + place.y)
    return places


def screenshot():
    path = FOLDER / "screen.png"
    subprocess.run(["import", "-window", "root", "-depth", "8", "png24:" + str(path)], check=True)
    image = bpy.data.images.load(str(path))
    pixels = np.empty(image.size[0] * image.size[1] * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(image.size[1], image.size[0], image.channels)[..., :3].copy()
    bpy.data.images.remove(image)
    region = next(r for r in area().regions if r.type == "WINDOW")
    pixels[: region.y], pixels[region.y + region.height :] = 0.5, 0.5  # only the view itself
    pixels[:, : region.x], pixels[:, region.x + region.width :] = 0.5, 0.5
    return pixels


def measure(pixels, places):
    """Distance in screen pixels of each dot that is in view from where it should be."""
    distances = []
    height, width = pixels.shape[:2]
    for color, (x, y) in places.items():
        row, column = np.nonzero((np.abs(pixels - color) < 0.35).all(-1))
        if len(row) < 20 or not (40 < x < width - 40 and 40 < y < height - 40):
            continue
        distances.append(math.hypot(column.mean() + 0.5 - x, row.mean() + 0.5 - y))
    return distances


class Run:
    """One case a tick: set it up, let Blender draw it, look at it."""

    def __init__(self):
        self.cases, self.results, self.worst, self.waited = list(cases()), [], 0.0, 0

    def start(self):
        blender_addon.register()
        for size in ((640, 480), (480, 640)):
            make_photo(f"Photo {size[0]}", *size)
        for name in ("Cube", "Light"):
            bpy.data.objects.remove(bpy.data.objects[name])
        space = area().spaces.active
        overlay = space.overlay
        for name in ("show_floor", "show_axis_x", "show_axis_y", "show_text", "show_cursor", "show_extras"):
            setattr(overlay, name, False)
        space.show_gizmo = space.show_region_ui = space.show_region_toolbar = False
        space.region_3d.view_perspective = "CAMERA"
        space.region_3d.view_camera_zoom = -20
        set_up(self.cases[0])

    def tick(self):
        try:
            if self.waited == 0:
                self.start()
            self.waited += 1
            if self.waited < 6:
                area().tag_redraw()
                return 0.5
            return self.next()
        except Exception:  # noqa: BLE001  # a timer would go on for ever
            (FOLDER / "framing.json").write_text(json.dumps({"error": traceback.format_exc()}), "utf-8")
            os._exit(1)

    def next(self):
        case = self.cases[len(self.results)]
        distances = measure(screenshot(), expected())
        worst = max(distances, default=0.0)
        if not self.results:
            (FOLDER / "screen.png").rename(FOLDER / "framing_first.png")
        elif worst > self.worst:
            self.worst = worst
            (FOLDER / "screen.png").rename(FOLDER / "framing_worst.png")
        self.results.append({"case": repr(case), "dots": len(distances), "worst_px": worst})
        if len(self.results) == len(self.cases):
            found = {"version": bpy.app.version_string, "results": self.results}
            (FOLDER / "framing.json").write_text(json.dumps(found, indent=1), "utf-8")
            blender_addon.unregister()
            os._exit(0)
        set_up(self.cases[len(self.results)])
        area().tag_redraw()
        return 0.25


bpy.context.preferences.view.show_splash = False
run = Run()
bpy.app.timers.register(run.tick, first_interval=2)
