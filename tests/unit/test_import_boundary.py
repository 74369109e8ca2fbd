"""Imports point one way. Checked in the source, so that a forbidden import is found even where nothing runs it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TORCH_FREE = ("scene", "parameters", "job")
LOWEST = "language"  # a file below all rooms, which every room, the files above them and the add-on may import
ADDON_MAY = {"bpy", "bl_operators", "bpy_extras", "bmesh", "mathutils", "gpu", "gpu_extras", "bl_math", "numpy", "imbuf"}

# Room (or file) of dr_backend → rooms it may import besides itself. What is not named is not allowed.
MAY_IMPORT = {
    "scene": (),
    "parameters": ("scene",),
    "job": ("scene", "parameters"),
    "kernels": (),
    "geometry": ("scene", "kernels"),
    "raster": ("scene", "kernels", "geometry"),
    "shading": ("scene", "kernels", "geometry", "raster"),
    "renderers": ("scene", "kernels", "geometry", "raster", "shading"),
    "parameterizations": ("scene", "kernels", "geometry"),
    "losses": ("scene", "kernels", "geometry"),
    "optim": (),
}
# Files above the rooms, lowest first: each may import every room and the files before it.
UPPER = ("memory", "photos", "texture_size", "stages", "problem", "fit", "doctor", "worker", "__main__")
# Files of these rooms may import base and the room's __init__ table may import all, but not one another.
NO_SIDEWAYS = {"renderers": ("base", "table"), "losses": ("base",), "parameters": ("base",)}


def _files(package: str) -> list[Path]:
    return sorted(path for path in (ROOT / package).rglob("*.py") if "__pycache__" not in path.parts)


def _imports(path: Path) -> Iterator[str]:
    """Absolute dotted names of everything the file imports, also inside functions."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield module
            if module.startswith(("dr_backend", "blender_addon")):
                yield from (f"{module}.{alias.name}" for alias in node.names)


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", _files("blender_addon"), ids=_relative)
def test_the_addon_imports_no_torch(path):
    for name in _imports(path):
        top, *rest = name.split(".")
        if top == "dr_backend":
            assert not rest or rest[0] in (*TORCH_FREE, LOWEST), f"{_relative(path)} imports {name}, a room with torch"
        else:
            assert top in ADDON_MAY | {"blender_addon"} | set(sys.stdlib_module_names), f"{_relative(path)} imports {name}"


@pytest.mark.parametrize("path", _files("blender_addon"), ids=_relative)
def test_the_addon_imports_itself_relatively(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        assert not any(name.split(".")[0] == "blender_addon" for name in names), "an installed extension has another name"


@pytest.mark.parametrize("path", _files("dr_backend"), ids=_relative)
def test_the_backend_imports_no_bpy_and_itself_relatively(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            assert name.split(".")[0] not in {"bpy", "mathutils", "bmesh", "blender_addon", "dr_backend"}, f"imports {name}"


@pytest.mark.parametrize("path", _files("dr_backend"), ids=_relative)
def test_rooms_import_downwards_only(path):
    inside = path.relative_to(ROOT / "dr_backend").with_suffix("").parts
    room = inside[0]
    if inside in (("__init__",), (LOWEST,)):
        allowed: set[str] = set()
    elif len(inside) == 1:
        assert room in UPPER, f"{_relative(path)} has no place in the order of imports"
        allowed = set(MAY_IMPORT) | set(UPPER[: UPPER.index(room)]) | {"__version__", LOWEST}
    else:
        assert room in MAY_IMPORT, f"{_relative(path)} has no place in the order of imports"
        allowed = {room, LOWEST, *MAY_IMPORT[room]}
    for name in _imports(path):
        top, *rest = name.split(".")
        if top == "dr_backend" and rest:
            assert rest[0] in allowed, f"{_relative(path)} imports {name}"


@pytest.mark.parametrize("room", NO_SIDEWAYS)
def test_no_imports_sideways(room):
    for path in sorted((ROOT / "dr_backend" / room).glob("*.py")):
        if path.stem in ("__init__", "table"):
            continue
        for name in _imports(path):
            parts = name.split(".")
            if parts[:2] == ["dr_backend", room] and len(parts) > 2 and (ROOT / "dr_backend" / room / f"{parts[2]}.py").exists():
                assert parts[2] in NO_SIDEWAYS[room], f"{_relative(path)} imports its neighbour {name}"


@pytest.mark.parametrize("room", TORCH_FREE)
def test_torch_free_rooms_name_no_torch(room):
    for path in _files(f"dr_backend/{room}"):
        for name in _imports(path):
            top = name.split(".")[0]
            assert top in {"dr_backend", "numpy"} | set(sys.stdlib_module_names), f"{_relative(path)} imports {name}"


def test_blender_loads_no_torch():
    """What the add-on imports of the backend, in a fresh Python."""
    code = "import sys, dr_backend.scene, dr_backend.parameters, dr_backend.job; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
