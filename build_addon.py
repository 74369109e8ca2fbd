"""Makes ``build/fit_to_photo-<version>.zip``, a Blender extension (4.2 or later), without network.

The zip holds ``blender_addon`` and, as a bundled wheel, ``dr_backend``: Blender itself unpacks the wheel where its Python
finds it, so ``from dr_backend.scene import …`` is the same line in a checkout and in the installed extension.
``python3.11 dev.py zip`` runs it with what it needs.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from string import Template

import build_help

ROOT = Path(__file__).resolve().parent
MANIFEST = "blender_manifest.toml"
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.pot", MANIFEST)
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in the zip: the same sources give the same zip


def version() -> str:
    """The one version number, ``dr_backend.__version__``, read without importing the package.

    Raises:
        ValueError: ``dr_backend/__init__.py`` has no such line.
    """
    found = re.search(r'^__version__ = "(\d+\.\d+\.\d+)"$', (ROOT / "dr_backend" / "__init__.py").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError("dr_backend/__init__.py needs a line like: __version__ = \"1.2.3\"")
    return found[1]


def sources_hash() -> str:
    """A few characters that change with every change of ``dr_backend``."""
    files = sorted((ROOT / "dr_backend").rglob("*.py"))
    return hashlib.sha256(b"".join(file.relative_to(ROOT).as_posix().encode() + file.read_bytes() for file in files)).hexdigest()[:8]


def build_wheel(folder: Path) -> Path:
    """The pure-Python wheel of ``dr_backend`` in ``folder``, built from a copy so that the checkout stays clean.

    Its version names its contents: Blender unpacks no wheel of a name and version that it has, be it another build.

    Raises:
        subprocess.CalledProcessError: pip failed; its words are on the terminal.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary)
        shutil.copytree(ROOT / "dr_backend", source / "dr_backend", ignore=NOT_SHIPPED)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source / name)
        (source / "setup.cfg").write_text(f"[egg_info]\ntag_build = +{sources_hash()}\n", "utf-8")
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def stage(folder: Path) -> None:
    """Fills ``folder`` with what the extension consists of."""
    shutil.copytree(ROOT / "blender_addon", folder, ignore=NOT_SHIPPED)
    shutil.copy(ROOT / "LICENSE", folder / "LICENSE")
    build_help.write_help(folder / "help")
    (folder / "wheels").mkdir()
    wheel = build_wheel(folder / "wheels")
    manifest = Template((ROOT / "blender_addon" / MANIFEST).read_text("utf-8")).substitute(version=version(), wheel=wheel.name)
    (folder / MANIFEST).write_text(manifest, "utf-8")


def build(zip_path: Path | None = None) -> Path:
    """Writes the extension and returns its path; by default ``build/fit_to_photo-<version>.zip``."""
    target = zip_path or ROOT / "build" / f"fit_to_photo-{version()}.zip"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "fit_to_photo"
        stage(folder)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EPOCH)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return target


if __name__ == "__main__":
    print(build())
