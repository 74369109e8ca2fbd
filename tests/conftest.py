"""Checks the shapes that the annotations of the torch rooms promise, while the tests run."""

import os
import sys

import pytest
from jaxtyping import install_import_hook

RENDERERS = ("renderers.base", "renderers.reference", "renderers.pytorch3d")
ROOMS = ("geometry", "raster", "shading", "losses", "parameterizations", "optim", *RENDERERS)
install_import_hook([f"dr_backend.{room}" for room in ROOMS], "beartype.beartype")

_status: list[int] = []  # of a session that ran to its end; without one pytest's own exit tells what was wrong


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    _status.append(int(session.exitstatus))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Ends the process once everything is reported, for Python's own end can hang in Blender 4.5.

    That Blender has a thread which waits for the sound device and is stopped only when the module ``bpy`` is freed; if anything still
    refers to ``bpy`` when Python ends, a static destructor waits for that thread for ever. Torch, imported in the same process, holds
    on to pytest's import hook, the hook to the configuration, and that to every conftest with its ``bpy``: nothing of ours to mend.
    """
    if "bpy" in sys.modules and _status:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status[0])
