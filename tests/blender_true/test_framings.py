"""Photo framings: a photo made by Blender, lying anywhere in the camera's frame, is what we render for it.

Cycles renders the whole frame finely. Of that, the image is made that Blender's camera view would have to show for everything to line up;
it becomes the background image, is read as a fit reads it, and its mask is compared with the picture of the exported camera.
"""

from dataclasses import replace

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs Blender as a Python module (pip install bpy)")

from mathutils import Matrix  # noqa: E402

from blender_addon.exchange import read_scene  # noqa: E402
from blender_addon.exchange.cameras import read_camera  # noqa: E402
from tests.blender.test_framing import drawn_matrix  # noqa: E402
from tests.blender_true import blender_render, our_render  # noqa: E402
from tests.blender_true.fixture import OUTLINE  # noqa: E402
from tests.blender_true.metrics import edge_distance, mask_iou  # noqa: E402
from tests.blender_true.studio import Studio  # noqa: E402

FINE = 4  # pixels of the fine render along each side of the frame's
SUBPIXELS = 4  # samples along each side of the photo's
FRAME, PHOTOS = (320, 210), ((270, 195), (195, 270))
MOVED = {"offset": (0.06, -0.04), "scale": 0.9, "rotation": 0.5, "use_flip_x": True}
CASES = [
    ("STRETCH", 0, {}, {}),
    ("STRETCH", 1, {"rotation": -0.3, "scale": 1.1}, {"shift_x": 0.05}),
    ("STRETCH", 0, MOVED, {"type": "ORTHO", "ortho_scale": 5}),
    ("FIT", 1, {}, {"sensor_fit": "VERTICAL", "shift_y": 0.04, "lens": 30}),
    ("FIT", 0, {"offset": (0.05, 0.08)}, {}),
    ("FIT", 1, MOVED, {"lens": 30}),
    ("CROP", 1, {"scale": 0.7}, {"shift_x": -0.05}),
    ("CROP", 0, {"use_flip_x": True, "use_flip_y": True}, {}),
    ("CROP", 1, MOVED, {"type": "ORTHO", "ortho_scale": 5}),
]


def photo_in_frame(frame, obj, background, size):
    """The image (H, W, 4) that Blender draws over the frame's picture (H, W, 4) so that both look the same."""
    data = obj.data
    flips = Matrix.Diagonal((-1 if background.use_flip_x else 1, -1 if background.use_flip_y else 1, 1, 1))
    matrix = np.array(drawn_matrix(data, background, size[0] / size[1]) @ flips)
    top_right, bottom_right, _, top_left = data.view_frame(scene=bpy.context.scene)
    row, column = ((np.mgrid[0 : size[1] * SUBPIXELS, 0 : size[0] * SUBPIXELS] + 0.5) / SUBPIXELS).astype(float)
    quad = np.stack([2 * column / size[0] - 1, 1 - 2 * row / size[1], np.zeros_like(row), np.ones_like(row)], -1)
    place = quad @ matrix.T
    x = (place[..., 0] - top_left.x) / (top_right.x - top_left.x) * frame.shape[1]
    y = (top_right.y - place[..., 1]) / (top_right.y - bottom_right.y) * frame.shape[0]
    inside = (x >= 0) & (y >= 0) & (x < frame.shape[1]) & (y < frame.shape[0])
    samples = frame[np.where(inside, y, 0).astype(int), np.where(inside, x, 0).astype(int)] * inside[..., None]
    return samples.reshape(size[1], SUBPIXELS, size[0], SUBPIXELS, 4).mean((1, 3))


@pytest.mark.parametrize(("method", "shape", "move", "view"), CASES)
def test_we_render_what_blender_frames(method, shape, move, view):
    studio, size = Studio(), PHOTOS[shape]
    studio.box()
    studio.aim((0.5, -6.5, 3), roll=0.1)
    image = bpy.data.images.new("Photo", *size, alpha=True, float_buffer=True)
    data = studio.camera.data
    background = data.background_images.new()
    background.image, background.frame_method = image, method
    for block, settings in ((background, move), (data, view)):
        for name, value in settings.items():
            setattr(block, name, value)
    render = studio.scene.render
    render.resolution_x, render.resolution_y = (side * FINE for side in (size if method == "STRETCH" else FRAME))
    bpy.context.view_layer.update()
    photo = photo_in_frame(blender_render.render(studio.scene, 1), studio.camera, background, size)
    assert 0.02 < photo[..., 3].mean() < 0.5
    image.pixels.foreach_set(photo[::-1].astype(np.float32).ravel())
    exported = read_scene(studio.scene, studio.meshes, [studio.camera], [], texture=False)
    mask = exported.photos[0].mask
    ours = our_render.render(exported.scene, studio.camera.name, 4)[..., 3]
    iou, edge = mask_iou(ours, mask), edge_distance(ours, mask)
    assert iou >= OUTLINE.iou, f"IoU {iou:.4f}, edge {edge:.3f} px"
    assert edge <= OUTLINE.edge_px, f"IoU {iou:.4f}, edge {edge:.3f} px"
    if move.keys() - {"use_flip_x", "use_flip_y"}:
        filling = replace(exported.scene, cameras={"Camera": read_camera(studio.camera, size)})
        assert mask_iou(our_render.render(filling, "Camera", 1)[..., 3], mask) < 0.95, "the framing matters"

