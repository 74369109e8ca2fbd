"""The built zip: what Blender's extension platform asks for, checked without Blender. Real Blenders: ``dev.py blender``."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import tomllib

import build_addon
import dr_backend

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {"torch", "pytorch3d"}


@pytest.fixture(scope="module")
def extension(tmp_path_factory):
    path = tmp_path_factory.mktemp("zip") / "addon.zip"
    code = f"import build_addon, pathlib; build_addon.build(pathlib.Path({str(path)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def manifest(extension):
    return tomllib.loads(extension["blender_manifest.toml"].decode())


@pytest.fixture(scope="module")
def wheel(extension, manifest, tmp_path_factory):
    (name,) = manifest["wheels"]
    path = tmp_path_factory.mktemp("wheel") / Path(name).name
    path.write_bytes(extension[name.removeprefix("./")])
    return path


def test_the_manifest_keeps_blenders_rules(manifest):
    assert manifest["schema_version"] == "1.0.0"
    assert manifest["id"] == "fit_to_photo"
    assert manifest["version"] == dr_backend.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", manifest["blender_version_min"])
    assert manifest["license"] == ["SPDX:GPL-3.0-or-later"]
    assert len(manifest["tagline"]) <= 64
    assert manifest["tagline"][-1].isalnum()
    for reason in manifest["permissions"].values():
        assert len(reason) <= 64
        assert reason[-1].isalnum()
    assert not any(value in ("", [], {}) for value in manifest.values())


def test_the_zip_holds_every_module_and_language_of_the_addon_the_help_and_nothing_else(extension, manifest):
    paths = [path for kind in ("*.py", "*.po") for path in (ROOT / "blender_addon").rglob(kind)]
    modules = {path.relative_to(ROOT / "blender_addon").as_posix() for path in paths}
    others = {"blender_manifest.toml", "LICENSE", manifest["wheels"][0].removeprefix("./")}
    assert {name for name in extension if not name.startswith("help/")} == modules | others
    assert {Path(name).suffix for name in extension if name.startswith("help/")} == {".html", ".webp"}


def test_the_zip_is_small(extension):
    assert sum(len(data) for name, data in extension.items() if name.startswith("help/")) < 400_000


def imported(source):
    """Top-level names of every package that the source imports anywhere."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_the_addon_never_imports_torch(extension):
    assert not [name for name, data in extension.items() if name.endswith(".py") and FORBIDDEN & set(imported(data.decode()))]


def test_the_wheel_is_pure_python_and_whole(wheel):
    built = f"{dr_backend.__version__}+{build_addon.sources_hash()}"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        assert Parser().parsestr(archive.read(metadata).decode())["Version"] == built
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "dr_backend").rglob("*.py")}
    assert sources == {name for name in names if name.endswith(".py")}
    assert wheel.name == f"fit_to_photo-{built}-py3-none-any.whl"


def test_another_build_is_another_version(monkeypatch, tmp_path):
    """Blender unpacks no wheel of a name and version that it has."""
    before = build_addon.sources_hash()
    shutil.copytree(ROOT / "dr_backend", tmp_path / "dr_backend", ignore=build_addon.NOT_SHIPPED)
    monkeypatch.setattr(build_addon, "ROOT", tmp_path)
    assert build_addon.sources_hash() == before
    (tmp_path / "dr_backend" / "__main__.py").write_text("")
    assert build_addon.sources_hash() != before


def test_blenders_rooms_of_the_wheel_work_without_torch(wheel):
    """What Blender imports must not pull in torch, which its Python does not have."""
    code = (
        "import sys; sys.modules['torch'] = None; sys.path.insert(0, sys.argv[1]);"
        "import dr_backend.scene, dr_backend.parameters, dr_backend.job;"
        "assert dr_backend.__file__.startswith(sys.argv[1]), dr_backend.__file__"
    )
    subprocess.run([sys.executable, "-I", "-c", code, str(wheel)], check=True)


def test_two_builds_are_equal(extension, tmp_path):
    code = f"import build_addon, pathlib; build_addon.build(pathlib.Path({str(tmp_path / 'again.zip')!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    with zipfile.ZipFile(tmp_path / "again.zip") as archive:
        for name in archive.namelist():
            if not name.endswith(".whl"):  # a wheel carries the time of its files
                assert archive.read(name) == extension[name], name
