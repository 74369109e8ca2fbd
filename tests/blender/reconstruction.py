"""A little reconstruction, written as COLMAP and NeRF write theirs, with projections of known points by OpenCV's formulas."""

import json
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image

POINTS = np.random.default_rng(3).uniform(-1, 1, (30, 3))
NUMBERS = {"SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "RADIAL": 3, "OPENCV": 4, "OPENCV_FISHEYE": 5, "FULL_OPENCV": 6}


@dataclass(frozen=True)
class View:
    """A photo: a rotation as quaternion (w, x, y, z) and a translation into axes with x right, y down, z forward."""

    name: str
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]

    def matrix(self):
        from mathutils import Quaternion

        matrix = np.eye(4)
        matrix[:3, :3] = Quaternion(self.quaternion).to_matrix()
        matrix[:3, 3] = self.translation
        return matrix

    def project(self, lens, points=POINTS):
        """Pixels (N, 2), y down, the first pixel's centre at (0.5, 0.5)."""
        x, y, z = (points @ self.matrix()[:3, :3].T + self.matrix()[:3, 3]).T
        x, y = x / z, y / z
        r2 = x**2 + y**2
        k1, k2, k3, p1, p2 = (lens.get(key, 0) for key in ("k1", "k2", "k3", "p1", "p2"))
        radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        seen_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
        seen_y = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
        fx, fy = lens.get("fx", lens.get("f")), lens.get("fy", lens.get("f"))
        return np.stack([fx * seen_x + lens["cx"], fy * seen_y + lens["cy"]], -1)


def views(count=3):
    from mathutils import Euler

    made = []
    for index in range(count):
        turn = Euler((0.3 + 0.2 * index, 0.4 * index - 0.3, 0.1 * index)).to_quaternion()
        made.append(View(f"shot {index + 1}.png", tuple(turn), (0.1 * index, -0.05, 6.0 + index)))
    return made


def save_photos(folder, taken, size=(320, 240), suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    for index, view in enumerate(taken):
        path = folder / (view.name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (50 * index, 90, 120)).save(path, "PNG")


def save_colmap(folder, taken, model, lens, size=(320, 240), *, binary):
    """``lens``: the model's parameters by name, in COLMAP's order."""
    folder.mkdir(parents=True, exist_ok=True)
    values = list(lens.values())
    if binary:
        (folder / "cameras.bin").write_bytes(
            struct.pack("<Q", 1) + struct.pack(f"<IiQQ{len(values)}d", 7, NUMBERS[model], *size, *values)
        )
        images = struct.pack("<Q", len(taken))
        for index, view in enumerate(taken):
            images += struct.pack("<I7dI", index + 5, *view.quaternion, *view.translation, 7) + view.name.encode() + b"\0"
            images += struct.pack("<Q", index) + b"x" * 24 * index
        (folder / "images.bin").write_bytes(images)
        return
    numbers = " ".join(map(repr, map(float, values)))
    (folder / "cameras.txt").write_text(f"# Camera list\n#   CAMERA_ID, ...\n7 {model} {size[0]} {size[1]} {numbers}\n")
    lines = ["# Image list", "# ..."]
    for index, view in enumerate(taken):
        numbers = " ".join(map(repr, map(float, (*view.quaternion, *view.translation))))
        lines += [f"{index + 5} {numbers} 7 {view.name}", "" if index == 0 else "1.5 2.5 -1 3 4 12"]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")


def save_transforms(path, taken, settings, per_frame=None):
    frames = []
    for view in taken:
        world_from_camera = np.linalg.inv(np.diag([1, -1, -1, 1.0]) @ view.matrix())
        frames.append({"file_path": f"./images/{view.name}", "transform_matrix": world_from_camera.tolist(), **(per_frame or {})})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**settings, "frames": frames}))
