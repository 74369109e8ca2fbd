"""Running kernels: over the cores of a processor, or on a GPU."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Generator, Iterable, Sequence
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

import torch
import warp as wp
from torch import Tensor

T = TypeVar("T")

_loading = Lock()

WORTH_SHARING = 20_000  # pixels or faces for each thread that helps
BLOCKS_PER_THREAD = 4  # more blocks than threads even out owners with more and less work
TILE = 16  # pixels
CHUNKS = 32  # parts of a list on a processor; fixed, so that results do not depend on the number of threads
WORD = 4  # bytes of most numbers

wp.config.log_level = wp.LOG_ERROR
# A precompiled header pays for modules that compile one after the other. Ours do so side by side, and each would make one of its own.
wp.config.use_precompiled_headers = False
_OUTLINES, _INSIDES = (wp.get_module(f"fit_to_photo_{name}") for name in ("outlines", "insides"))
_OUTLINES.options.update({"enable_backward": False, "fuse_fp": False})  # nothing is differentiated by Warp
_INSIDES.options.update({"enable_backward": False})
MODULES = (_OUTLINES, _INSIDES)

_Descriptor = type(wp.from_torch(torch.empty(1), return_ctype=True))  # how Warp hands arrays to kernels
# Empty ones have strides too, or Warp takes its slower code for strided arrays.
_EMPTY = {width: _Descriptor(ndim=1, strides=(WORD * width,)) for width in (1, 2, 3, 4)}


def kernel(function: Callable[..., None]) -> wp.Kernel:
    """A Warp kernel of this package. Its first argument is the number of the first owner of a launch.

    Products are rounded before they are added, as torch does it: thus both rasterizers agree on which pixels see what. Here are also
    kernels for which that does not matter, so that the other module takes no longer to compile than this one.
    """
    return wp.kernel(function, module=_OUTLINES)


def inside_kernel(function: Callable[..., None]) -> wp.Kernel:
    """The same for what happens within faces, where products and sums may be rounded together, which is faster."""
    return wp.kernel(function, module=_INSIDES)


def array(tensor: Tensor | None, width: int = 1) -> Any:
    """A contiguous tensor as an argument of a kernel: a list of numbers, or of vectors of ``width`` numbers. ``None`` is an empty one.

    Nothing is copied: the caller keeps the tensor alive while the kernel runs. Warp's own conversion does the same in five times the time.
    """
    found = _Descriptor.from_buffer_copy(_EMPTY[width])
    if tensor is not None:
        if not tensor.is_contiguous():
            raise ValueError("Kernels read contiguous tensors only.")
        found.data = tensor.data_ptr()
        found.shape[0] = tensor.numel() // width
        if tensor.element_size() != WORD:
            found.strides[0] = tensor.element_size() * width
    return found


def load(device: torch.device) -> None:
    """Compiles all kernels for a device, or takes them from Warp's cache; once for all threads."""
    with _loading:
        name = "cpu" if device.type == "cpu" else f"cuda:{device.index or 0}"
        wp.force_load(name, list(MODULES), max_workers=len(MODULES))


class Launch:
    """A kernel that is to be called for ``owners`` owners, who have ``items`` pixels or faces between them if these are more.

    Few items are left to one thread: waking others would take longer. With ``alone`` one thread works through the owners in order.
    """

    __slots__ = ("alone", "arguments", "items", "owners", "work")

    def __init__(self, work: wp.Kernel, owners: int, *arguments: Any, items: int = 0, alone: bool = False) -> None:
        self.work, self.owners, self.arguments, self.items, self.alone = work, owners, arguments, max(owners, items), alone


# What is done for one view: it hands out launches, is resumed when they are done, and ends with a result.
Steps = Generator[Launch, None, T]


class _Program:
    """A kernel compiled for a processor: a C function, which lets other threads run Python while it works."""

    def __init__(self, work: wp.Kernel, arguments: Sequence[Any]) -> None:
        self._launch = wp.launch(work, dim=1, inputs=[0, *arguments], device="cpu", record_cmd=True)  # checks their types
        bounds, *parameters = self._launch.params
        self._bounds = type(bounds)
        self._pack = type("Arguments", (ctypes.Structure,), {"_fields_": [(f"_{i}", type(p)) for i, p in enumerate(parameters)]})

    def packed(self, arguments: Sequence[Any]) -> ctypes.Structure:
        """Arguments as the function reads them. Warp packs them anew for each launch, in ten times the time."""
        return self._pack(0, *(a.__ctype__() if hasattr(a, "__ctype__") else a for a in arguments))

    def run(self, packed: ctypes.Structure, start: int, stop: int) -> None:
        """Calls the function for the owners from one number to another."""
        own = self._pack.from_buffer_copy(packed)  # of this thread: the first argument changes
        own._0 = start
        self._launch.hooks.forward(ctypes.byref(self._bounds(stop - start)), ctypes.byref(own))


def _help(tasks: SimpleQueue[Any]) -> None:
    """What a helping thread does: takes its share of each task that is not yet done, until there is a ``None``, which others see too."""
    while (task := tasks.get()) is not None:
        work, tickets, done = task
        if next(tickets, None) is None:
            continue
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - for the thread that waits
            done.put(error)
        else:
            done.put(None)
    tasks.put(None)


class Launcher:
    """A device, and how many threads may work on it.

    On a processor one launch runs on one thread, and launches from several threads run side by side: so the owners of a launch are dealt
    out in blocks. A GPU gets them all at once.
    """

    def __init__(self, device: torch.device, threads: int) -> None:
        self.device = device
        self.threads = threads if device.type == "cpu" else 1
        self._programs: dict[str, _Program] = {}
        self._tasks: SimpleQueue[Any] = SimpleQueue()
        self._helpers = 0  # threads that wait for tasks
        self._hiring = Lock()
        weakref.finalize(self, self._tasks.put, None)

    @property
    def tile(self) -> tuple[int, int]:
        """Width and height in pixels of what one bin covers; width 0 means the whole row."""
        return (0, TILE) if self.device.type == "cpu" else (TILE, TILE)

    def chunks(self, count: int, on_gpu: int) -> tuple[int, int]:
        """How many owners share ``count`` things, and how many of these each has: ``on_gpu`` on a GPU."""
        owners = CHUNKS if self.device.type == "cpu" else max(1, -(-count // on_gpu))
        return owners, -(-count // owners)

    def run(self, *launches: Launch) -> None:
        """Calls kernels of which none needs what another does; all threads take part in all of them."""
        if self.device.type != "cpu":
            for each in launches:
                if each.owners > 0:
                    wp.launch(each.work, dim=each.owners, inputs=[0, *each.arguments], device=f"cuda:{self.device.index or 0}")
            return
        blocks = [block for each in launches if each.owners > 0 for block in self._blocks(each)]
        todo = iter(blocks)  # a list's iterator may be shared between threads

        def work() -> None:
            for program, packed, start, stop in todo:
                program.run(packed, start, stop)

        threads = min(self.threads, len(blocks), 1 + sum(each.items for each in launches) // WORTH_SHARING)
        if threads > 1:
            self._share(work, threads - 1)
        else:
            work()

    def _blocks(self, launch: Launch) -> list[tuple[_Program, ctypes.Structure, int, int]]:
        """A launch in parts: what to call, with which arguments, and for which owners."""
        program = self._programs.get(launch.work.key)
        if program is None:
            program = self._programs[launch.work.key] = _Program(launch.work, launch.arguments)
        threads = 1 if launch.alone else min(self.threads, 1 + launch.items // WORTH_SHARING)
        count = min(launch.owners, threads * BLOCKS_PER_THREAD) if threads > 1 else 1
        limits = [launch.owners * i // count for i in range(count + 1)]
        packed = program.packed(launch.arguments)
        return [(program, packed, start, stop) for start, stop in zip(limits, limits[1:], strict=False)]

    def together(self, routines: Iterable[Steps[T]]) -> list[T]:
        """The results of what is done for several views, side by side: each time all have handed out a launch, these run."""
        going = dict(enumerate(routines))
        results: dict[int, T] = {}
        while going:
            launches = []
            for index, routine in list(going.items()):
                try:
                    launches.append(next(routine))
                except StopIteration as end:
                    results[index] = end.value
                    del going[index]
            self.run(*launches)
        return [results[index] for index in sorted(results)]

    def _share(self, work: Callable[[], None], helpers: int) -> None:
        """Does what is to be done on this thread and on helping ones, as far as these wake up before there is nothing left."""
        with self._hiring:
            for number in range(self._helpers, helpers):
                Thread(target=_help, args=(self._tasks,), name=f"raster {number}", daemon=True).start()
            self._helpers = max(self._helpers, helpers)
        tickets, done = iter(range(helpers)), SimpleQueue[Any]()
        for _ in range(helpers):
            self._tasks.put((work, tickets, done))
        try:
            work()
        finally:
            begun = helpers - sum(1 for _ in tickets)
            errors = [error for error in (done.get() for _ in range(begun)) if error is not None]
        if errors:
            raise errors[0]
