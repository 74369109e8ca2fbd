"""Plays the worker's side of the protocol without torch. ``FAKE_WORKER`` says how; the last argument is the job folder.

It "fits" by lifting every mesh by one unit along its own z.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from dr_backend.job import PROTOCOL_VERSION, Event, JobFolder  # noqa: E402
from dr_backend.scene import leaf_path  # noqa: E402

JOB = JobFolder(sys.argv[-1])
MODE = os.environ.get("FAKE_WORKER", "done")
STEPS = 5
stopped = threading.Event()
previews = threading.Event()
looks: list[str] = []


def emit(kind: str, **data: object) -> None:
    sys.stdout.write(Event(kind, data).to_line())
    sys.stdout.flush()


def listen() -> None:
    for line in sys.stdin:
        (JOB.path / "commands.txt").open("a").write(line)
        command = json.loads(line)["command"]
        if MODE != "deaf" and command == "cancel":
            stopped.set()
        if command == "preview":
            previews.set()
        if command == "look":
            looks.append(json.loads(line)["camera"])
    if MODE != "deaf":
        stopped.set()


def lifted(height: float = 1.0) -> dict:
    if not (JOB.path / "job.json").exists():
        return {}
    scene, _, _ = JOB.load()
    return {leaf_path("meshes", name, "positions"): mesh.positions + [0, 0, height] for name, mesh in scene.meshes.items()}


def painted() -> dict:
    """Small images as a preview has them, where textures are fitted: red."""
    scene, _, settings = JOB.load()
    red = np.full((16, 8, 3), (0.5, 0, 0), np.float16)
    return {f"materials/{name}/base_color_image": red for name in scene.materials} if settings.texture else {}


def noise() -> None:
    out = sys.stdout.buffer
    out.write(b"a library says hello\n\xff\xfe\x00\x01 not text\n{\"event\": 3}\n{broken\n[1, 2]\n{\"event\": \"tea\"}\n\n")
    out.write(b'{"event": "done"}\n' + b"x" * 3_000_000 + b"\n")  # a done without its message is none of ours
    out.flush()


def step(number: int) -> None:
    emit("step", step=number, steps=STEPS, stage="outline", loss=1.0 / (number + 1), seconds_left=0.1 * (STEPS - number))
    if previews.is_set():
        JOB.save_preview(lifted(0.5) | painted())
        emit("preview", step=number)
    if looks and looks[-1]:
        JOB.save_look(np.full((12, 16, 4), (0.25, 0, 0, 0.5), np.float16))
        emit("look", camera=looks[-1])


def main() -> int:
    threading.Thread(target=listen, daemon=True).start()
    emit("hello", protocol=PROTOCOL_VERSION, version="0", pid=os.getpid())
    emit("stage", name="Outline", index=0, count=1, renderer="fake", device="cpu", why="It is the only one.")
    if MODE == "noise":
        noise()
    if MODE == "child":  # a child that outlives the worker and holds its pipes
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(4)"])
        os._exit(7)
    number = 0
    while number < STEPS or MODE in ("endless", "deaf"):
        number += 1
        step(min(number, STEPS))
        if MODE == "crash" and number == 3:
            print("Traceback (most recent call last):\nRuntimeError: the card fell off", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if MODE == "checkpoint" and number == 3:
            JOB.save_checkpoint(lifted())
            emit("checkpoint", step=number)
            os.kill(os.getpid(), signal.SIGKILL)
        if MODE == "refuse" and number == 3:
            emit("failed", code="diverged", message="The fit ran away", hint="Check the cameras")
            return 1
        if MODE == "silent" and number == 3:
            return 0
        time.sleep(0.05)
        if stopped.is_set():
            break
    JOB.save_result(lifted(), {"status": "cancelled" if stopped.is_set() else "done"})
    if stopped.is_set():
        emit("cancelled", message=f"Stopped at step {number} of {STEPS}")
        return 3
    emit("warning", message="This is only a fake")
    emit("done", message="Fitted")
    return 0


if __name__ == "__main__":
    if MODE == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(main())
