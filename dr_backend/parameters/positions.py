"""Vertex positions of a mesh."""

from .base import Parameter

POSITIONS = Parameter(
    key="geometry",
    label="Geometry",
    group="meshes",
    field="positions",
    parameterization="large_steps",
    rate=0.05,  # of the mesh's bounding sphere, per step
    help="Move the vertices until the outline and the shading match the photos",
)
