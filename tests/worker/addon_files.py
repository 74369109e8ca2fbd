"""The add-on's files that need no bpy, imported without the package whose ``__init__`` does."""

import importlib
import sys
import types
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "blender_addon"

_package = types.ModuleType("addon_files_without_bpy")
_package.__path__ = [str(FOLDER)]
sys.modules[_package.__name__] = _package

worker_client = importlib.import_module(f"{_package.__name__}.worker_client")
environment = importlib.import_module(f"{_package.__name__}.environment")
installation = importlib.import_module(f"{_package.__name__}.installation")
progress = importlib.import_module(f"{_package.__name__}.progress")
