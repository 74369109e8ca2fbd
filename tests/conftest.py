"""Checks the shapes that the annotations of the torch rooms promise, while the tests run."""

import os
import sys
from pathlib import Path

import jaxtyping
import pytest

BACKEND = Path(__file__).parents[1] / "dr_backend"
ROOMS = ("geometry", "raster", "shading", "renderers", "losses", "parameterizations", "optim")
# What the annotations of a kernel mean is up to Warp.
WARP = ("import warp", "@kernel")
FILES = [path for room in ROOMS for path in (BACKEND / room).rglob("*.py") if not any(word in path.read_text("utf-8") for word in WARP)]
MODULES = [".".join(path.relative_to(BACKEND.parent).with_suffix("").parts) for path in FILES if path.stem != "__init__"]


def _checked(**options):
    """What the hook decorates with; functions within functions are left alone, or each call would make new checks for a millisecond."""
    check = CHECK(**options)
    return lambda thing: thing if "<locals>" in thing.__qualname__ else check(thing)


CHECK = jaxtyping.jaxtyped
jaxtyping.jaxtyped = _checked
jaxtyping.install_import_hook(MODULES, "beartype.beartype")


@pytest.fixture
def unchecked():
    """For tests that take hundreds of steps: shapes go unchecked meanwhile, or that would be half of their time."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


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
