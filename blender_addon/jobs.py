"""Job folders as Blender keeps them: made for a fit, left behind by a crash, found again, removed. No bpy.

What a fit needs to be resumed by another Blender lies in ``session.json`` of its folder. As long as a Blender works on the folder it
holds a lock, which the system takes away from a process that dies.
"""

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from dr_backend.job import JobError, JobFolder
from dr_backend.language import told

SESSION = "session.json"
LOCK = "session.lock"
FORMAT = 1  # of session.json: another Fit to Photo may have left one

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@dataclass(frozen=True)
class LeftJob:
    """A fit that was begun and not ended, by a Blender that is gone or has opened another file since."""

    folder: Path
    session: dict[str, Any]  # as Session.save_session wrote it
    begun: float  # seconds since the epoch

    @property
    def title(self) -> str:
        """What was fitted and when, for the panel."""
        return f"{', '.join(self.session['bindings']['meshes'])}, {time.strftime('%d %b %H:%M', time.localtime(self.begun))}"


def make_folder(root: Path) -> Path:
    """A new folder for one job.

    Raises:
        JobError: It cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=root))
    except OSError as error:
        message = told("The job folder {path} cannot be written ({reason})", path=root, reason=error.strerror or error)
        raise JobError("cannot_write", message, told("Choose another Job Folder in the add-on's preferences")) from error


def lock(folder: Path) -> IO[bytes] | None:
    """Takes the folder for this process until the file is closed; None where somebody else holds it, or it is gone."""
    try:
        file = open(folder / LOCK, "ab")  # noqa: SIM115 it stays open as long as the fit runs
    except OSError:
        return None
    try:
        _try_lock(file)
    except OSError:
        file.close()
        return None
    return file


def find_left(root: Path) -> list[LeftJob]:
    """Fits that nobody works on and nobody ended, newest first."""
    found = []
    for path in sorted(root.glob(f"*/{SESSION}"), reverse=True):
        held = lock(path.parent)
        if held is None:
            continue
        held.close()
        try:
            session = JobFolder(path.parent).load_json(SESSION)
            if session.get("format") == FORMAT:
                found.append(LeftJob(path.parent, session, path.stat().st_mtime))
        except (JobError, OSError) as error:
            print(f"Fit to Photo: {path} is not the trace of a fit: {error}", file=sys.stderr)
    return found


def remove(folder: Path) -> None:
    """Removes a job's folder."""
    try:
        shutil.rmtree(folder)
    except OSError as error:  # an indexer or a virus scanner may hold a file open: not worth failing a fit that succeeded
        print(f"Fit to Photo: the job folder {folder} could not be removed: {error}", file=sys.stderr)
