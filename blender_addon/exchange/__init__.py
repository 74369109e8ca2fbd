"""Between Blender's data and the scene of ``dr_backend.scene``: every ``read_x`` has its ``write_x`` beside it."""

from .problems import SceneProblem
from .result import has_result, keep_all, revert_all
from .scene import Bindings, Exported, read_scene, write_result

__all__ = ["Bindings", "Exported", "SceneProblem", "has_result", "keep_all", "read_scene", "revert_all", "write_result"]
