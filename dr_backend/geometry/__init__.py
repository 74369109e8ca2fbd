"""Meshes as tensors: topology, normals and the flat scene that renderers see."""

from .flatten import FlatMaterial, FlatScene, flatten, to_tensors
from .topology import Topology, prepare

__all__ = ["FlatMaterial", "FlatScene", "Topology", "flatten", "prepare", "to_tensors"]
