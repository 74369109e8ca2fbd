"""The native renderer gives the same bits however many threads work for it, and to however many threads that ask at once."""

import gc
import itertools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.kernels import crew, launch
from dr_backend.kernels.launch import Launch
from dr_backend.raster.native.copies import copy_values
from dr_backend.renderers.base import RenderOutput
from dr_backend.renderers.native import NativeRenderer
from dr_backend.scene import Material, Scene
from tests.renderers.parity import body, image, rendered, scene_of
from tests.shapes import camera

KINDS = ["outline", "painted", "lit"]
VIEWS = [
    camera(80, 72),
    camera(41, 64, distance=1.4),
    camera(64, 33, orthographic=True),
    replace(camera(64, 48), near=2.8),
    camera(50, 50, distance=0.3),
]


def made(kind: str, views: int) -> Scene:
    """A body with two images behind a smaller one, seen by some cameras."""
    mesh = body(3)
    mesh = replace(mesh, materials=("fine", "coarse"), face_material=np.arange(len(mesh.faces)) % 2)
    # The fine image is filtered: its levels gather gradients too.
    materials = {"fine": Material(np.full(3, 0.5), image(61, 130)), "coarse": Material(np.full(3, 0.5), image(5, 3), encoded=True)}
    smaller = body(2, seed=1, at=(0.3, 0.2, 1.2), size=0.3, material="fine")
    return scene_of(mesh, smaller, views=VIEWS[:views], materials=materials, lit=kind == "lit")


def bits(renderer: NativeRenderer, kind: str, views: int) -> list[torch.Tensor]:
    """Every image and gradient."""
    outputs, gradients = rendered(renderer, made(kind, views), color=kind != "outline")
    images = [getattr(out, field).detach() for out in outputs for field in RenderOutput.__dataclass_fields__]
    return images + list(gradients.values())


@pytest.fixture(autouse=True)
def all_work_is_shared(monkeypatch):
    monkeypatch.setattr(launch, "WORTH_WAKING", 1)


@pytest.fixture(autouse=True)
def torch_on_one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("views", [1, 3, 5])
def test_same_bits_for_any_number_of_threads(kind, views):
    expected = bits(NativeRenderer(threads=1), kind, views)
    assert sum(bool(part.any()) for part in expected) > 4 * views
    for threads in (1, 2, 4):
        found = bits(NativeRenderer(threads=threads), kind, views)
        assert [torch.equal(*pair) for pair in zip(found, expected, strict=True)] == [True] * len(expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_same_bits_for_several_that_ask_at_once(threads):
    renderer = NativeRenderer(threads=threads)
    asked = [(kind, views) for kind in KINDS for views in (1, 2)] * 3
    expected = {each: bits(renderer, *each) for each in asked[:6]}
    with ThreadPoolExecutor(4) as pool:
        for each, found in zip(asked, pool.map(lambda each: bits(renderer, *each), asked), strict=True):
            assert all(torch.equal(*pair) for pair in zip(found, expected[each], strict=True)), each


def chain(launcher: launch.Launcher, stages: int, width: int) -> None:
    """Runs stages of small launches of which each needs what the one before it did."""
    rows = torch.zeros(stages + 1, 2, width, dtype=torch.float32)
    rows[0] = torch.arange(2 * width, dtype=torch.float32).view(2, width)
    owners, chunk = launcher.chunks(width, 1)
    plan = [
        [Launch(copy_values, owners, 0, width, chunk, before, after, items=width) for before, after in zip(one, other, strict=True)]
        for one, other in itertools.pairwise(rows)
    ]
    launcher.run(*plan)
    assert torch.equal(rows[-1], rows[0])


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_stages_wait_for_each_other(threads):
    launcher = launch.Launcher(torch.device("cpu"), threads)
    for round in range(150):
        chain(launcher, 40, 64 + 37 * (round % 50))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_owners_are_followed_by_their_own(threads):
    launcher = launch.Launcher(torch.device("cpu"), threads)
    for width in range(1, 400, 7):
        rows, other = torch.zeros(4, width), torch.zeros(2, width)
        rows[0], other[0] = torch.arange(width) + 1.0, -1.0
        owners, chunk = launcher.chunks(width, 1)

        def copy(before, after, count, owners=owners, chunk=chunk):
            return Launch(copy_values, owners if count else 0, 0, count, chunk, before, after, items=count)

        first, second = copy(rows[0], rows[1], width), copy(rows[1], rows[2], width)
        first.then = second
        nothing = copy(other[0], rows[3], 0)
        launcher.run([nothing, first, copy(other[0], other[1], width), nothing], [nothing], [copy(rows[2], rows[3], width)])
        assert all(torch.equal(row, rows[0]) for row in rows)
        assert torch.equal(other[1], other[0])


def test_several_may_lead_the_same_crew():
    launcher = launch.Launcher(torch.device("cpu"), 3)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda width: chain(launcher, 30, width), range(100, 300)))


def helpers_since(before: set[threading.Thread]) -> set[threading.Thread]:
    """The two helping threads that there are now and were not ``before``."""
    found = set(threading.enumerate()) - before
    assert len(found) == 2
    return found


def test_helping_threads_leave_with_their_launcher():
    before = set(threading.enumerate())
    launcher = launch.Launcher(torch.device("cpu"), 3)
    chain(launcher, 3, 1000)
    helpers = helpers_since(before)
    del launcher
    gc.collect()
    for helper in helpers:
        helper.join(10)
        assert not helper.is_alive()


@pytest.mark.skipif(crew._processor is None, reason="this system does not tell on which processor a thread runs")
def test_helping_threads_do_not_wait_for_the_leaders_processor(monkeypatch):
    processors = os.sched_getaffinity(0)
    if len(processors) < 2:
        pytest.skip("there is one processor")
    before, launcher = set(threading.enumerate()), launch.Launcher(torch.device("cpu"), 3)
    for leader in [*processors, *processors]:
        monkeypatch.setattr(crew, "_processor", lambda leader=leader: leader)
        deadline, places = time.monotonic() + 10, []
        while places != [processors - {leader}] * 2 and time.monotonic() < deadline:
            time.sleep(0.01)  # only who sleeps is woken somewhere else
            chain(launcher, 3, 1000)
            places = [os.sched_getaffinity(helper.native_id) for helper in helpers_since(before)]
        assert places == [processors - {leader}] * 2
    assert os.sched_getaffinity(0) == processors


@pytest.mark.parametrize("system", ["refuses", "does not tell"])
def test_helping_threads_run_anywhere_where_the_system(system, monkeypatch):
    def refuse(*_):
        raise PermissionError

    if system == "refuses":
        monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    else:
        monkeypatch.setattr(crew, "_processor", None)
    before, launcher = set(threading.enumerate()), launch.Launcher(torch.device("cpu"), 3)
    chain(launcher, 30, 1000)
    helpers_since(before)
