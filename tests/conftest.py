"""Checks the shapes that the annotations of the torch rooms promise, while the tests run."""

import os
import sys

import pytest
from jaxtyping import install_import_hook

RENDERERS = ("renderers.base", "renderers.reference", "renderers.pytorch3d")
ROOMS = ("geometry", "raster", "shading", "losses", "parameterizations", "optim", *RENDERERS)
install_import_hook([f"dr_backend.{room}" for room in ROOMS], "beartype.beartype")

_status = [0]


def pytest_sessionfinish(session, exitstatus):
    _status[0] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Ends the process once everything is reported: with bpy loaded, Python's own exit can hang."""
    if "bpy" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status[0])
