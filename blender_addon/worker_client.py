"""The worker's process as Blender sees it: start it, hear its events, send commands, end it. No bpy."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import dr_backend
from dr_backend.job import Event, JobError, parse_event
from dr_backend.job.events import LAST_KINDS, MAX_LINE
from dr_backend.language import phrase, told

LOG_NAME = "worker.log"

# The worker gives way to Blender where both want the processor: on Linux it runs when nobody else does, which lets Blender draw as soon
# as it wakes, where being nice lets it wait. Both read the same dr_backend files. Their folder is taken off the path again at once: it
# may hold other extensions' packages, built for Blender's Python and not for the worker's.
_BOOTSTRAP = """
import os, runpy, sys
try:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
except (AttributeError, OSError):
    if hasattr(os, "nice"):
        os.nice(10)
folder = sys.argv.pop(1)
sys.path.insert(0, folder)
import dr_backend
sys.path.remove(folder)
runpy.run_module("dr_backend", run_name="__main__", alter_sys=True)
"""
_NOT_FOR_WORKER = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")

_WINDOWS_CRASHES = {
    0xC0000005: phrase("a memory access violation"),
    0xC0000017: phrase("not enough memory"),
    0xC00000FD: phrase("a stack overflow"),
    0xC0000135: phrase("a missing DLL"),
}
_SIGNAL_REASONS = {
    "SIGKILL": phrase("the system or a person killed it (SIGKILL), most often because the memory ran out"),
    "SIGSEGV": phrase("a memory error (SIGSEGV)"),
    "SIGBUS": phrase("a memory error (SIGBUS)"),
    "SIGABRT": phrase("a library gave up (SIGABRT)"),
    "SIGILL": phrase("this processor lacks an instruction that a library needs (SIGILL)"),
}


def backend_command(python: str | Path, *arguments: str) -> list[str]:
    """The command line of the backend in the interpreter ``python``, isolated from the user's and Blender's Python settings."""
    folder = Path(dr_backend.__file__).resolve().parent.parent
    return [str(python), "-I", "-X", "utf8", "-c", _BOOTSTRAP, str(folder), *arguments]


def worker_command(python: str | Path, job: Path, language: Path | None = None) -> list[str]:
    """The command line that fits ``job`` and speaks the language of this ``.po`` file, or English."""
    return backend_command(python, "fit", str(job), *_spoken(language))


def doctor_command(python: str | Path, language: Path | None = None) -> list[str]:
    """The command line that says as JSON what works, in that language."""
    return backend_command(python, "doctor", "--json", *_spoken(language))


def _spoken(language: Path | None) -> list[str]:
    return [] if language is None else ["--language", str(language)]


def clean_environment() -> dict[str, str]:
    """This process's environment without what would point another Python at this one's files."""
    return {name: value for name, value in os.environ.items() if name not in _NOT_FOR_WORKER}


def hidden_window() -> dict[str, Any]:
    """Arguments for Popen that keep a console window from opening on Windows; nothing elsewhere."""
    return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS} if sys.platform == "win32" else {}


def _beside_blender() -> dict[str, Any]:
    """Arguments for Popen that let Ctrl-C in the terminal reach Blender alone, which then cancels the fit.

    A group, not a session of its own: Linux shares the processor out between sessions first, whatever their niceness.
    """
    return hidden_window() if sys.platform == "win32" else {"process_group": 0}


class WorkerClient:
    """One run of a worker, from ``start`` to ``close``. Nothing here waits for the worker except ``close``.

    Args:
        command: The worker's command line, from ``worker_command``.
        folder: The job folder: the worker's working folder and the home of its log.
        grace_s: Seconds a cancelled worker gets to save its best result before it is terminated.
        kill_s: Seconds a terminated worker gets before it is killed.
    """

    def __init__(self, command: Sequence[str], folder: Path, *, grace_s: float = 1.5, kill_s: float = 0.3) -> None:
        self._command, self._folder = list(command), Path(folder)
        self._grace_s, self._kill_s = grace_s, kill_s
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._cancelled_at: float | None = None
        self._terminated_at: float | None = None
        self._gone_at: float | None = None
        self.ended = False  # the last event was handed out

    @property
    def pid(self) -> int | None:
        """Process id of the worker, once started."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Starts the process and the thread that listens to it.

        Raises:
            JobError: The interpreter does not exist or cannot be run.
        """
        python = self._command[0]
        try:
            with open(self._folder / LOG_NAME, "ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=self._folder,
                    env=clean_environment(),
                    **_beside_blender(),
                )
        except OSError as error:
            hint = "Set Backend Python in the add-on's preferences, or press Check Setup"
            reason = told("The backend's Python cannot be started: {python} ({reason})", python=python, reason=error.strerror or error)
            raise JobError("no_interpreter", reason, hint) from error
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), name="fit-to-photo-events", daemon=True)
        self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        while line := stream.readline(MAX_LINE + 1):
            event = parse_event(line.decode("utf-8", errors="replace"))
            if event is not None:
                self._events.put(event)

    def poll(self) -> list[Event]:
        """Events since the last call, oldest first; never waits. The last event ever is ``done``, ``cancelled`` or ``failed``.

        A worker that dies without one gets one: ``cancelled`` if it was told to stop, else ``failed`` with code ``crashed``.
        """
        if self.ended or self._process is None:
            return []
        gone = self._is_gone()  # asked before the queue is emptied: whatever a dead worker said is in it
        events: list[Event] = []
        while not self._events.empty():
            events.append(self._events.get())
            if events[-1].kind in LAST_KINDS:
                self.ended = True
                return events
        if gone:
            self.ended = True
            return [*events, self._obituary(self._process.returncode)]
        self._press()
        return events

    def _is_gone(self) -> bool:
        """Whether the process has ended and its last words were read; a child of it that holds the pipe open is not waited for."""
        if self._process is None or self._process.poll() is None:
            return False
        now = time.monotonic()
        self._gone_at = self._gone_at or now
        return self._reader is None or not self._reader.is_alive() or now - self._gone_at > 1

    def cancel(self) -> None:
        """Asks the worker to stop and keep its best result; ``poll`` terminates, then kills, one that does not."""
        if self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            self._send("cancel")

    def pause(self) -> None:
        """Asks the worker to wait before its next step."""
        self._send("pause")

    def resume(self) -> None:
        """Lets a paused worker go on."""
        self._send("resume")

    def request_previews(self) -> None:
        """Asks the worker to write previews from now on."""
        self._send("preview")

    def request_look(self, camera: str) -> None:
        """Asks the worker for pictures of this camera from now on; an empty name ends that."""
        self._send("look", camera=camera)

    def _send(self, command: str, **fields: str) -> None:
        if self._process is None or self._process.stdin is None or self._process.stdin.closed:
            return
        try:
            self._process.stdin.write(json.dumps({"command": command, **fields}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:  # the worker is gone: poll says so, with its last words
            print(f"Fit to Photo: the command '{command}' did not reach the backend: {error}", file=sys.stderr)

    def _press(self) -> None:
        """Ends a worker that was cancelled and does not stop by itself."""
        if self._process is None or self._cancelled_at is None:
            return
        now = time.monotonic()
        if self._terminated_at is None:
            if now - self._cancelled_at >= self._grace_s:
                self._terminated_at = now
                self._process.terminate()
        elif now - self._terminated_at >= self._kill_s:
            self._process.kill()

    def _obituary(self, code: int) -> Event:
        if self._cancelled_at is not None:
            return Event("cancelled", {"message": told("The backend was stopped")})
        words = self.last_words()
        hint = told("Its last words: {words}", words=words) if words else told("Press Check Setup to see whether the backend works")
        message = told("The backend stopped unexpectedly: {reason}", reason=exit_reason(code))
        return Event("failed", {"code": "crashed", "message": message, "hint": hint})

    def last_words(self, lines: int = 3) -> str:
        """The last lines of the worker's log, joined; empty without any."""
        try:
            with open(self._folder / LOG_NAME, "rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
                text = log.read().decode("utf-8", errors="replace")
        except OSError:
            return ""
        kept = [stripped[:200] for line in text.splitlines() if (stripped := line.strip())]
        return " / ".join(kept[-lines:])

    def close(self, wait_s: float = 1.0) -> None:
        """Ends the process, by force after ``wait_s`` seconds, or at once if it has said its last: everything it has to say is on disk
        then, and torch takes a second to leave. Afterwards nothing of the worker is left."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()  # the worker reads end of file: its parent is gone
            except OSError as error:
                print(f"Fit to Photo: the backend closed its input first: {error}", file=sys.stderr)
        try:
            self._process.wait(0 if self.ended else wait_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._reader is not None:
            self._reader.join(1)
        if self._process.stdout is not None and not (self._reader and self._reader.is_alive()):
            self._process.stdout.close()
        self.ended = True


def exit_reason(code: int) -> str:
    """An exit code in words: ``-9`` is a kill, which most often means that the memory ran out."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = told("signal {number}", number=-code)
        return told(_SIGNAL_REASONS[name]) if name in _SIGNAL_REASONS else told("it was ended by {name}", name=name)
    if code & 0xFFFFFFFF in _WINDOWS_CRASHES:
        return told(_WINDOWS_CRASHES[code & 0xFFFFFFFF])
    return told("it ended without a result") if code == 0 else told("it ended with exit code {code}", code=code)
