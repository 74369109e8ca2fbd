"""The scene model and its leaf paths: torch-free."""

from .leaves import from_structure, leaf_path, leaves, split_path, structure, with_leaves
from .types import Camera, Light, Material, Mesh, Photo, Scene, World

__all__ = [
    "Camera",
    "Light",
    "Material",
    "Mesh",
    "Photo",
    "Scene",
    "World",
    "from_structure",
    "leaf_path",
    "leaves",
    "split_path",
    "structure",
    "with_leaves",
]
