"""Checks the shapes that the annotations of the torch rooms promise, while the tests run."""

from jaxtyping import install_import_hook

RENDERERS = ("renderers.base", "renderers.reference", "renderers.pytorch3d")
ROOMS = ("geometry", "raster", "shading", "losses", "parameterizations", "optim", *RENDERERS)
install_import_hook([f"dr_backend.{room}" for room in ROOMS], "beartype.beartype")
