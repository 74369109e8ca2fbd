"""Photo, render, difference or error of a camera, drawn over the 3D view while one looks through it. The scene is not touched."""

from typing import Any

import bpy
import gpu
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from gpu_extras.batch import batch_for_shader
from mathutils import Matrix, Vector

from .comparison import Comparison, View
from .exchange.images import to_linear
from .exchange.photos import photo_rotation

_comparisons: dict[str, Comparison] = {}  # by name of the camera
_textures: dict[tuple[str, View], gpu.types.GPUTexture] = {}
_handle: object | None = None


def remember(name: str, comparison: Comparison) -> None:
    """Keeps what may be shown of a camera, in the place of what was kept before."""
    _comparisons[name] = comparison
    for key in [key for key in _textures if key[0] == name]:
        del _textures[key]


def forget_all() -> None:
    """Nothing is kept any more: another file was opened, or another fit began."""
    _comparisons.clear()
    _textures.clear()


def can_show(name: str) -> bool:
    """Whether a render of this camera is kept."""
    return name in _comparisons


def _texture(name: str, view: View) -> gpu.types.GPUTexture:
    if (name, view) not in _textures:
        picture = np.array(_comparisons[name].picture(view)[::-1], np.float32)
        if bpy.app.version < (5, 0, 0):  # which encodes what is drawn over a view; later ones show it as it is
            picture[..., :3] = to_linear(picture[..., :3])
        height, width = picture.shape[:2]
        values = gpu.types.Buffer("FLOAT", picture.size, picture.ravel())  # type: ignore[call-arg]  # the stubs have no constructors
        _textures[name, view] = gpu.types.GPUTexture((width, height), format="RGBA16F", data=values)  # type: ignore[call-arg]
    return _textures[name, view]


def _draw() -> None:
    """Draws into the 3D view that Blender is drawing now."""
    context = bpy.context
    view, space, region_3d = context.window_manager.fit_to_photo.view, context.space_data, context.region_data
    if view == "NONE" or region_3d is None or region_3d.view_perspective != "CAMERA":
        return
    camera = space.camera if space.use_local_camera else context.scene.camera
    if camera is None or camera.name not in _comparisons:
        return
    world_from_camera = camera.matrix_world.normalized() @ Matrix.Rotation(-photo_rotation(camera), 4, "Z")
    corners = [Vector(corner) for corner in _comparisons[camera.name].corners().tolist()]
    places = [location_3d_to_region_2d(context.region, region_3d, world_from_camera @ corner) for corner in corners]
    if any(place is None for place in places):
        return
    shader = gpu.shader.from_builtin("IMAGE")
    quad: Any = {"pos": [(p.x, p.y) for p in places], "texCoord": [(0, 0), (1, 0), (1, 1), (0, 1)]}
    batch = batch_for_shader(shader, "TRI_FAN", quad)
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_sampler("image", _texture(camera.name, view))
    batch.draw(shader)
    gpu.state.blend_set("NONE")


def register() -> None:
    """Begins to draw."""
    global _handle
    if not bpy.app.background:
        _handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")


def unregister() -> None:
    """Stops drawing and frees everything."""
    global _handle
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
        _handle = None
    forget_all()
