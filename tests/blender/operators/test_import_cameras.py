"""Cameras of COLMAP and NeRF: known points land where the other program projects them; broken files are sentences."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

bpy = pytest.importorskip("bpy")

from blender_addon.exchange.colmap import load_colmap  # noqa: E402
from blender_addon.exchange.photos import background_images, read_photo, read_photo_camera  # noqa: E402
from blender_addon.exchange.problems import SceneProblem  # noqa: E402
from blender_addon.exchange.transforms import load_transforms  # noqa: E402
from dr_backend.scene.lens import polynomial_shift  # noqa: E402
from tests.blender.reconstruction import POINTS, save_colmap, save_photos, save_transforms, views  # noqa: E402
from tests.blender.test_cameras import project  # noqa: E402

BENT = {"k1": -0.08, "k2": 0.03, "p1": 0.004, "p2": -0.006}
LENSES = {
    "SIMPLE_PINHOLE": {"f": 400, "cx": 163.25, "cy": 118.5},
    "PINHOLE": {"fx": 400, "fy": 400, "cx": 163.25, "cy": 118.5},
    "SIMPLE_RADIAL": {"f": 400, "cx": 160, "cy": 120, "k1": -0.08},
    "RADIAL": {"f": 400, "cx": 160, "cy": 120, "k1": -0.08, "k2": 0.03},
    "OPENCV": {"fx": 400, "fy": 400, "cx": 163.25, "cy": 118.5, **BENT},
    "FULL_OPENCV": {"fx": 400, "fy": 400, "cx": 163.25, "cy": 118.5, **BENT, "k3": 0.01, "k4": 0, "k5": 0, "k6": 0},
}


def imported():
    collection = next((c for c in bpy.data.collections if c.name.startswith("Imported Cameras")), None)
    return sorted(collection.objects, key=lambda obj: obj.name) if collection else []


def projected(obj):
    """Pixels of the known points on the photo as it was taken: through Blender's camera and its lens."""
    camera = read_photo_camera(obj, bpy.context.scene)
    pixels = project(camera, POINTS)
    if camera.distortion is None:
        return pixels
    x, y = ((pixels - camera.distortion_centre_px) / camera.distortion_focal_px).T
    return pixels + np.stack(polynomial_shift(x, y, camera.distortion), -1) * camera.distortion_focal_px


def check(taken, lens, scale=1.0):
    cameras = imported()
    assert [obj.name for obj in cameras] == [view.name.removesuffix(".png") for view in taken]
    for obj, view in zip(cameras, taken, strict=True):
        np.testing.assert_allclose(projected(obj), view.project(lens) * scale, atol=0.01)
        assert read_photo(obj)[0].rgb.shape[2] == 3
    return cameras


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("model", LENSES)
def test_colmap_projects_known_points(tmp_path, scene, model, binary):
    taken, lens = views(), LENSES[model]
    scene.render.resolution_x, scene.render.resolution_y = 1920, 1080
    save_colmap(tmp_path / "sparse" / "0", taken, model, lens, binary=binary)
    save_photos(tmp_path / "images", taken)
    path = tmp_path / "sparse" / "0" / ("images.bin" if binary else "cameras.txt")
    assert bpy.ops.fit_to_photo.import_cameras(filepath=str(path)) == {"FINISHED"}
    cameras = check(taken, lens)
    assert scene.camera == cameras[0]
    assert (scene.render.resolution_x, scene.render.resolution_y) == (320, 240)
    assert (background_images(cameras[0])[0].source == "MOVIE_CLIP") == ("k1" in lens)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    check(taken, lens)


def test_numbered_photos_show_their_own_frame_whatever_the_frame(tmp_path, scene):
    from dataclasses import replace

    scene.frame_set(17)
    taken = [replace(view, name=f"shot_{index:03d}.png") for index, view in enumerate(views())]
    save_colmap(tmp_path, taken, "SIMPLE_RADIAL", LENSES["SIMPLE_RADIAL"], binary=True)
    save_photos(tmp_path / "images", taken)
    bpy.ops.fit_to_photo.import_cameras(filepath=str(tmp_path))
    colours = [read_photo(obj)[0].rgb[5, 5, 0] for obj in check(taken, LENSES["SIMPLE_RADIAL"])]
    assert colours[0] < colours[1] < colours[2]


def test_smaller_photos_than_the_model_was_made_from(tmp_path):
    taken, lens = views(), LENSES["OPENCV"]
    save_colmap(tmp_path / "sparse", taken, "OPENCV", lens, binary=True)
    save_photos(tmp_path / "images_2", taken, (160, 120))
    bpy.ops.fit_to_photo.import_cameras(filepath=str(tmp_path / "sparse"), photo_folder=str(tmp_path / "images_2"))
    check(taken, lens, 0.5)


def test_photos_that_are_stored_lying_stay_so_for_a_camera_made_for_them(tmp_path):
    """COLMAP does not heed EXIF's orientation."""
    taken = views(1)
    save_colmap(tmp_path, taken, "SIMPLE_PINHOLE", LENSES["SIMPLE_PINHOLE"], binary=False)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (320, 240)).save(tmp_path / taken[0].name, exif=exif)
    bpy.ops.fit_to_photo.import_cameras(filepath=str(tmp_path / "cameras.txt"))
    check(taken, LENSES["SIMPLE_PINHOLE"])


NERF = {
    "angle only": ({"camera_angle_x": 2 * np.arctan(160 / 400)}, {"f": 400, "cx": 160, "cy": 120}),
    "angles and size": ({"camera_angle_x": 2 * np.arctan(160 / 400), "w": 320, "h": 240}, {"f": 400, "cx": 160, "cy": 120}),
    "pinhole": ({"fl_x": 400, "fl_y": 400, "cx": 163.25, "cy": 118.5, "w": 320, "h": 240}, LENSES["PINHOLE"]),
    "distorted": ({"fl_x": 400, "w": 320, "h": 240, **{k: v for k, v in LENSES["OPENCV"].items() if k[0] != "f"}}, LENSES["OPENCV"]),
}


@pytest.mark.parametrize("kind", NERF)
@pytest.mark.parametrize("place", ["file", "frames"])
def test_transforms_project_known_points(tmp_path, kind, place):
    settings, lens = NERF[kind]
    taken = views()
    save_photos(tmp_path / "images", taken)
    save_transforms(tmp_path / "transforms.json", taken, *((settings, {}) if place == "file" else ({"fl_x": 1}, settings)))
    if "fl_x" not in settings and place == "frames":  # an angle of the frame does not win over a length of the file
        save_transforms(tmp_path / "transforms.json", taken, {}, settings)
    assert bpy.ops.fit_to_photo.import_cameras(filepath=str(tmp_path / "transforms.json")) == {"FINISHED"}
    check(taken, lens)


def test_names_without_ending(tmp_path):
    from dataclasses import replace

    taken = [replace(view, name=view.name.removesuffix(".png")) for view in views()]
    save_photos(tmp_path / "images", taken, suffix=".png")
    save_transforms(tmp_path / "transforms.json", taken, {"camera_angle_x": 0.6})
    bpy.ops.fit_to_photo.import_cameras(filepath=str(tmp_path / "transforms.json"))
    assert [obj.name for obj in imported()] == [view.name for view in taken]


def test_a_fit_of_imported_cameras(tmp_path, scene):
    """Distorted photos go through export, fit and report."""
    for name in ("Front", "Side"):
        bpy.data.objects.remove(bpy.data.objects[name])
    taken = views(2)
    save_colmap(tmp_path, taken, "OPENCV", LENSES["OPENCV"], binary=True)
    save_photos(tmp_path / "images", taken)
    bpy.ops.fit_to_photo.import_cameras(filepath=str(tmp_path))
    scene.fit_to_photo.render_report = True
    assert bpy.ops.fit_to_photo.run() == {"FINISHED"}
    report = json.loads(scene.fit_to_photo.last_report)
    assert [camera["name"] for camera in report["cameras"]] == ["shot 1", "shot 2"]
    assert all(0 < camera["psnr_after"] < 60 for camera in report["cameras"])


def test_the_lego_cameras_look_at_the_lego():
    data = Path(os.environ.get("FIT_TO_PHOTO_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "lego"
    if not data.is_dir():
        pytest.skip(f"no data in {data}")
    bpy.ops.fit_to_photo.import_cameras(filepath=str(data / "transforms.json"))
    cameras = imported()
    assert len(cameras) == 25
    ground = []
    for obj in cameras:
        photo = read_photo(obj)[0]
        column, row = project(read_photo_camera(obj, bpy.context.scene), np.zeros((1, 3)))[0]
        assert photo.mask[int(row), int(column)] == 1, "the origin is in the middle of the toy"
        ground.append(obj.matrix_world.translation.z)
    assert min(ground) > 0, "the world's up is Blender's"


# -- what cannot be read ------------------------------------------------------------------------------------------------------------------


def refused(path, words, **options):
    before = {kind: len(getattr(bpy.data, kind)) for kind in ("objects", "cameras", "collections", "movieclips")}
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.fit_to_photo.import_cameras(filepath=str(path), **options)
    assert {kind: len(getattr(bpy.data, kind)) for kind in before} == before


def test_what_is_wrong_is_said(tmp_path):
    taken = views()
    save_colmap(tmp_path / "a", taken, "PINHOLE", LENSES["PINHOLE"], binary=True)
    refused(tmp_path / "a", "None of the 3 photos was found.*Photo Folder")
    save_photos(tmp_path / "a", taken, (300, 300))
    refused(tmp_path / "a", "'shot 1.png' is 300 × 300 pixels, its camera is for 320 × 240")
    refused(tmp_path, "holds no cameras")
    refused(tmp_path / "nothing.json", "nothing.json cannot be read")
    for name, text in (("list.json", "[1, 2]"), ("empty.json", ""), ("deep.json", "[" * 100000), ("short.json", '{"frames": [{}]}')):
        (tmp_path / name).write_text(text)
        refused(tmp_path / name, f"{name} is damaged or no transforms.json")
    fisheye = {"fl_x": 400, "camera_model": "OPENCV_FISHEYE"}
    save_transforms(tmp_path / "fish.json", taken, fisheye)
    refused(tmp_path / "fish.json", "fisheye")
    save_colmap(tmp_path / "b", taken, "OPENCV_FISHEYE", {**LENSES["OPENCV"]}, binary=True)
    refused(tmp_path / "b", "camera model OPENCV_FISHEYE has no counterpart")
    save_colmap(tmp_path / "c", taken, "FULL_OPENCV", {**LENSES["FULL_OPENCV"], "k5": 0.1}, binary=False)
    refused(tmp_path / "c", "FULL_OPENCV with k4, k5 or k6")


@pytest.mark.parametrize("key", ["fl_x", "cx", "transform_matrix", "w", "k1"])
@pytest.mark.parametrize("value", [float("nan"), -1e400, "many", None, [], -5])
def test_transforms_with_odd_values(tmp_path, key, value):
    taken = views(1)
    settings = {"fl_x": 400, "cx": 160, "cy": 120, "w": 320, "h": 240, "k1": 0.1}
    save_transforms(tmp_path / "odd.json", taken, settings)
    data = json.loads((tmp_path / "odd.json").read_text())
    (data["frames"][0] if key == "transform_matrix" else data)[key] = value
    (tmp_path / "odd.json").write_text(json.dumps(data))
    if (key, value) in (("cx", -5), ("k1", -5)):
        assert load_transforms(str(tmp_path / "odd.json"))[0].name == "images/shot 1.png"
    else:
        with pytest.raises(SceneProblem):
            load_transforms(str(tmp_path / "odd.json"))


@pytest.mark.parametrize("angle", [0, np.pi, "wide"])
def test_transforms_with_odd_angles(tmp_path, angle):
    save_transforms(tmp_path / "odd.json", views(1), {"camera_angle_x": angle, "camera_angle_y": 0, "w": 320, "h": 240})
    with pytest.raises(SceneProblem):
        load_transforms(str(tmp_path / "odd.json"))


@pytest.mark.parametrize("binary", [True, False])
def test_broken_colmap_files_are_sentences(tmp_path, binary):
    """Cut off anywhere and with any byte changed: photos or a sentence, never another error, and never gigabytes."""
    save_colmap(tmp_path, views(), "OPENCV", LENSES["OPENCV"], binary=binary)
    generator = np.random.default_rng(0)
    sentences = 0
    for name in ("cameras", "images"):
        path = tmp_path / f"{name}.{'bin' if binary else 'txt'}"
        whole = path.read_bytes()
        for cut in [*range(0, len(whole), 7), *[len(whole)] * 150]:
            spoiled = bytearray(whole[:cut])
            if cut == len(whole):
                spoiled[generator.integers(0, cut)] = generator.integers(0, 256)
            path.write_bytes(spoiled)
            try:
                load_colmap(str(tmp_path))
            except SceneProblem:
                sentences += 1
        path.write_bytes(whole)
    assert sentences > 20
    assert len(load_colmap(str(tmp_path))) == 3
