"""The client against a fake worker in a real process: what happens when it ends well, badly, or not at all."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from addon_files import FOLDER, worker_client

from dr_backend.job import Event, JobError, JobFolder

FAKE = Path(__file__).with_name("fake_worker.py")


def _start(folder: Path, mode: str, monkeypatch, **options) -> "worker_client.WorkerClient":
    monkeypatch.setenv("FAKE_WORKER", mode)
    client = worker_client.WorkerClient([sys.executable, "-I", str(FAKE), "fit", str(folder)], folder, **options)
    client.start()
    return client


def _hear(client, until: str = "", limit_s: float = 10) -> list[Event]:
    """Events up to the last one, or the first of a kind."""
    events: list[Event] = []
    end = time.monotonic() + limit_s
    while not client.ended and time.monotonic() < end:
        events += client.poll()
        if until and any(event.kind == until for event in events):
            break
        time.sleep(0.01)
    return events


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def _wait_gone(pid: int, limit_s: float = 5) -> bool:
    end = time.monotonic() + limit_s
    while _exists(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not _exists(pid)


def test_done(tmp_path, monkeypatch):
    client = _start(tmp_path, "done", monkeypatch)
    kinds = [event.kind for event in _hear(client)]
    assert kinds == ["hello", "stage", *["step"] * 5, "warning", "done"]
    assert client.poll() == []
    client.close()
    assert JobFolder(tmp_path).load_result() is not None


def test_noise_on_stdout_is_ignored(tmp_path, monkeypatch):
    client = _start(tmp_path, "noise", monkeypatch)
    kinds = [event.kind for event in _hear(client)]
    assert kinds == ["hello", "stage", *["step"] * 5, "warning", "done"]
    client.close()


def test_cancel_keeps_the_best(tmp_path, monkeypatch):
    client = _start(tmp_path, "endless", monkeypatch)
    _hear(client, until="step")
    begin = time.monotonic()
    client.cancel()
    assert _hear(client)[-1].kind == "cancelled"
    assert time.monotonic() - begin < 1
    client.close()
    assert JobFolder(tmp_path).load_result() is not None


def test_pause_and_resume_arrive(tmp_path, monkeypatch):
    client = _start(tmp_path, "endless", monkeypatch)
    _hear(client, until="step")
    client.pause()
    client.resume()
    client.cancel()
    _hear(client)
    client.close()
    said = [json.loads(line)["command"] for line in (tmp_path / "commands.txt").read_text().splitlines()]
    assert said == ["pause", "resume", "cancel"]


def test_a_worker_that_does_not_stop_is_killed(tmp_path, monkeypatch):
    client = _start(tmp_path, "deaf", monkeypatch, grace_s=0.3, kill_s=0.2)
    _hear(client, until="step")
    begin = time.monotonic()
    client.cancel()
    last = _hear(client)[-1]
    assert last.kind == "cancelled"
    assert 0.5 <= time.monotonic() - begin < 2
    assert not _exists(client.pid)
    client.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_worker_is_a_failure_with_its_last_words(tmp_path, monkeypatch):
    client = _start(tmp_path, "crash", monkeypatch)
    last = _hear(client)[-1]
    assert (last.kind, last.data["code"]) == ("failed", "crashed")
    assert "SIGKILL" in last.data["message"]
    assert "memory" in last.data["message"]
    assert "RuntimeError: the card fell off" in last.data["hint"]
    client.close()


def test_an_end_without_a_result_is_a_failure(tmp_path, monkeypatch):
    client = _start(tmp_path, "silent", monkeypatch)
    last = _hear(client)[-1]
    assert last.data["code"] == "crashed"
    assert "without a result" in last.data["message"]
    client.close()


def test_a_child_that_holds_the_pipe_is_not_waited_for(tmp_path, monkeypatch):
    client = _start(tmp_path, "child", monkeypatch)
    begin = time.monotonic()
    last = _hear(client)[-1]
    assert "exit code 7" in last.data["message"]
    assert time.monotonic() - begin < 3
    client.close()


def test_no_such_interpreter(tmp_path):
    client = worker_client.WorkerClient(worker_client.worker_command(tmp_path / "nobody", tmp_path), tmp_path)
    with pytest.raises(JobError, match="cannot be started"):
        client.start()
    client.close()
    assert client.poll() == []


def test_closing_ends_the_worker(tmp_path, monkeypatch):
    client = _start(tmp_path, "endless", monkeypatch)
    _hear(client, until="step")
    pid = client.pid
    client.close()
    assert not _exists(pid)


def test_closing_ends_a_worker_that_will_not(tmp_path, monkeypatch):
    client = _start(tmp_path, "deaf", monkeypatch)
    _hear(client, until="step")
    pid = client.pid
    client.close(wait_s=0.2)
    assert not _exists(pid)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_no_orphan_when_the_parent_is_killed(tmp_path):
    """The parent dies without a word; the worker notices that its input ended, keeps the best and goes."""
    parent_code = f"""
import sys, time
sys.path[:0] = [{str(FAKE.parent)!r}, {str(FOLDER.parent)!r}]
from addon_files import worker_client
client = worker_client.WorkerClient([sys.executable, "-I", {str(FAKE)!r}, "fit", {str(tmp_path)!r}], {str(tmp_path)!r})
client.start()
while not any(event.kind == "step" for event in client.poll()):
    time.sleep(0.01)
print(client.pid, flush=True)
time.sleep(60)
"""
    environment = os.environ | {"FAKE_WORKER": "endless"}
    with subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, env=environment) as parent:
        worker = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    assert _wait_gone(worker)
    assert JobFolder(tmp_path).load_result() is not None


def test_the_real_worker_starts_isolated(tmp_path, monkeypatch):
    """The real command line, on an empty job: Blender's Python settings and other extensions' packages stay outside."""
    (tmp_path / "torch.py").write_text("raise SystemExit('a file of the job folder was imported')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path / "nowhere"))
    client = worker_client.WorkerClient(worker_client.worker_command(sys.executable, tmp_path), tmp_path)
    client.start()
    events = _hear(client, limit_s=60)
    assert [event.kind for event in events] == ["hello", "failed"], client.last_words()
    assert events[-1].data["code"] == "bad_job"
    client.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [(-9, "memory"), (-11, "SIGSEGV"), (-250, "signal 250"), (0, "without a result"), (5, "exit code 5"), (0xC0000005, "access violation")],
)
def test_exit_codes_in_words(code, words):
    assert words in worker_client.exit_reason(code)
