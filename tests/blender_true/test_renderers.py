"""Every renderer shades alike: what the reference renderer shows of the fixtures, which are its gates, native and PyTorch3D show too.

PyTorch3D is made as hard as its rounding allows. Outlines are then steps, so they take more samples along each side of a pixel.
"""

from functools import cache
from importlib.util import find_spec

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (pip install bpy)")

from dr_backend.renderers.base import Renderer  # noqa: E402
from dr_backend.renderers.table import make  # noqa: E402
from tests.blender_true import our_render  # noqa: E402
from tests.blender_true.fixture import OUTLINE  # noqa: E402
from tests.blender_true.gallery import FIXTURES  # noqa: E402
from tests.blender_true.metrics import edge_distance, mask_iou, psnr  # noqa: E402
from tests.blender_true.take import take  # noqa: E402
from tests.blender_true.taken import Taken  # noqa: E402

SEEN_ALIKE = [
    "cameras/shift x and y, portrait",
    "cameras/orthographic, shifted landscape",
    "cameras/lens distortion of a cube, Brown with tangential",
    "meshes/negative scale",
    "textures/extension, MIRROR",
    "textures/color attribute, byte per corner",
    "normals/custom split normals, mirrored and stretched",
    "lamps/several with a world",
    "colors/white balance of a photo",
    "shadows/soft shadow, disk",
    "shadows/object that casts none",
    "skies/image on a ball, tilted",
    "skies/world and lamps together",
    "principled/metal under lamps roughness, 0.3",
    "principled/image for, packed in one",
    "principled/normal image, mirrored",
    "mixed/beveled box with three lamps",
]
OUTLINE_SAMPLES = 8  # along each side of a pixel


@cache
def taken(path: str) -> Taken:
    return take(FIXTURES[path])


@cache
def renderer(name: str) -> Renderer:
    if find_spec({"native": "warp", "reference": "torch"}.get(name, name)) is None:
        pytest.skip(f"{name} is not installed")
    if name != "pytorch3d":
        return make(name, "cpu")
    from dr_backend.renderers.pytorch3d import PyTorch3DRenderer

    return PyTorch3DRenderer("cpu", sigma=1e-8, gamma=1e-6, faces_per_pixel=2)


@pytest.mark.parametrize("path", SEEN_ALIKE)
def test_pytorch3d_shows_what_cycles_shows(path):
    fixture, seen = FIXTURES[path], taken(path)
    outlines = fixture.gate == OUTLINE
    ours = our_render.render(seen.scene, seen.camera, OUTLINE_SAMPLES if outlines else fixture.supersample, renderer("pytorch3d"))
    if outlines:
        assert mask_iou(ours[..., 3], seen.cycles[..., 3]) >= OUTLINE.iou
        assert edge_distance(ours[..., 3], seen.cycles[..., 3]) <= OUTLINE.edge_px
    else:
        assert psnr(ours[..., :3], seen.cycles[..., :3]) >= fixture.gate.psnr


@pytest.mark.parametrize("path", [*SEEN_ALIKE, "alpha/layers under the world", "alpha/soft shadow through two layers"])
def test_native_and_reference_cannot_be_told_apart(path):
    seen = taken(path)
    native, reference = (our_render.render(seen.scene, seen.camera, 1, renderer(name)) for name in ("native", "reference"))
    assert psnr(native, reference) >= 80
