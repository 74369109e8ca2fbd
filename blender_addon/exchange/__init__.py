"""Between Blender's data and the scene of ``dr_backend.scene``: every ``read_x`` has its ``write_x`` beside it."""

from .problems import SceneProblem
from .scene import Bindings, Exported, has_result, read_scene, revert_all, write_result

__all__ = ["Bindings", "Exported", "SceneProblem", "has_result", "read_scene", "revert_all", "write_result"]
