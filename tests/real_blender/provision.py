"""Makes a Debian with the full Blender in a folder: ``provision.py trixie|sid FOLDER``.

trixie has Blender 4.3, sid the current one. Needs Debian or Ubuntu, root, mmdebstrap (or apt-get to install it) and the network;
a finished folder is reused. Exit code 0: ready; 3: not possible on this machine, with the reason as last line.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

SUITES = ("trixie", "sid")
PACKAGES = "blender,python3-numpy,python3-requests,python3-cattr,xvfb,libgl1-mesa-dri,libegl1,imagemagick"
PROGRAMS = ("blender", "Xvfb", "import")  # what a finished folder has: the last two for windows and screenshots
NOT_POSSIBLE = 3
OPTIONS = (
    "--variant=essential",
    "--aptopt=Acquire::Check-Valid-Until \"false\"",
    "--aptopt=Acquire::Check-Date \"false\"",
    "--aptopt=Acquire::Retries \"3\"",
    "--dpkgopt=force-unsafe-io",
    f"--include={PACKAGES}",
)


class NotPossible(Exception):
    """This machine cannot make such a folder; the text says why."""


def blender_version(folder: Path) -> str | None:
    """First line of Blender's own answer (``Blender 4.3.2``), or None where no finished folder is."""
    if not all(os.path.lexists(folder / "usr/bin" / program) for program in PROGRAMS):  # links lead to places inside the folder
        return None
    answer = subprocess.run(["chroot", str(folder), "blender", "--version"], capture_output=True, text=True, errors="replace", check=False)
    return next((line.strip() for line in answer.stdout.splitlines() if line.startswith("Blender ")), None)


def require_debian_root() -> None:
    """Checks for Debian's tools and root.

    Raises:
        NotPossible: One of them is missing.
    """
    if platform.system() != "Linux" or shutil.which("apt-get") is None:
        raise NotPossible("Real Blenders are provisioned on Debian and Ubuntu only.")
    if os.geteuid() != 0:
        raise NotPossible("Real Blenders run in a chroot, which needs root.")


def install_mmdebstrap() -> None:
    """Installs mmdebstrap where it is missing.

    Raises:
        NotPossible: apt-get could not.
    """
    if shutil.which("mmdebstrap"):
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "install", "-y", "--no-install-recommends", "mmdebstrap"]):
        if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode != 0:
            raise NotPossible(f"'{' '.join(command)}' failed.")


def provision(suite: str, folder: Path) -> str:
    """Fills ``folder`` unless it is ready, and returns its Blender's version line.

    Raises:
        NotPossible: With the reason.
    """
    require_debian_root()
    if (version := blender_version(folder)) is not None:
        return version
    install_mmdebstrap()
    print(f"Installing Debian {suite} with Blender into {folder} (about 2 GB) ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = folder.with_name(folder.name + ".log")
    with open(log, "wb") as output:
        made = subprocess.run(["mmdebstrap", *OPTIONS, suite, str(folder)], stdout=output, stderr=subprocess.STDOUT, check=False)
    version = blender_version(folder) if made.returncode == 0 else None
    if version is None:
        raise NotPossible(f"mmdebstrap could not make Debian {suite}; see {log}.")
    return version


def main(arguments: list[str]) -> int:
    """Command line; returns the exit code."""
    if len(arguments) != 2 or arguments[0] not in SUITES:
        print(__doc__)
        return 2
    try:
        print(provision(arguments[0], Path(arguments[1]).resolve()))
    except NotPossible as reason:
        print(reason)
        return NOT_POSSIBLE
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
