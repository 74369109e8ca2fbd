"""Running kernels: over the cores of a processor, or on a GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import warp as wp
from torch import Tensor

_loading = threading.Lock()

WORTH_SHARING = 50_000  # pixels or faces
BLOCKS_PER_THREAD = 4  # more blocks than threads even out owners with more and less work
TILE = 16  # pixels
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


class Launcher:
    """A device, and how many threads may work on it.

    On a processor one launch runs on one thread, and launches from several threads run side by side: so the owners of a launch are dealt
    out in blocks. A GPU gets them all at once.
    """

    def __init__(self, device: torch.device, threads: int) -> None:
        self.device = device
        self.threads = threads if device.type == "cpu" else 1
        self.name = "cpu" if device.type == "cpu" else f"cuda:{device.index or 0}"
        self._recorded = threading.local()  # a launch of each kernel for each thread
        self._pool = ThreadPoolExecutor(self.threads, "raster") if self.threads > 1 else None

    @property
    def tile(self) -> tuple[int, int]:
        """Width and height in pixels of what one bin covers; width 0 means the whole row."""
        return (0, TILE) if self.device.type == "cpu" else (TILE, TILE)

    def run(self, work: wp.Kernel, owners: int, *arguments: Any, items: int = 0, alone: bool = False) -> None:
        """Calls a kernel for ``owners`` owners, who have ``items`` pixels or faces between them if these are more.

        Few items are left to one thread: waking others would take longer. With ``alone`` one thread works through the owners in order.
        """
        if owners <= 0:
            return
        if self._pool is None or alone or owners < 2 or max(owners, items) < WORTH_SHARING:
            self._record(work, arguments)(0, owners)
            return
        count = min(owners, self.threads * BLOCKS_PER_THREAD)
        limits = [owners * i // count for i in range(count + 1)]
        blocks = iter(list(zip(limits, limits[1:], strict=False)))

        def work_through() -> None:
            launch = self._record(work, arguments)
            for start, stop in blocks:  # a list's iterator may be shared between threads
                launch(start, stop)

        others = [self._pool.submit(work_through) for _ in range(min(self.threads, count) - 1)]
        work_through()
        for other in others:
            other.result()

    def _record(self, work: wp.Kernel, arguments: Sequence[Any]) -> Callable[[int, int], None]:
        """What launches a kernel for the owners from one to another.

        This thread's last launch of the kernel is changed: to pack all arguments anew, and check them, takes Warp five times as long.
        """
        launches = self._recorded.__dict__
        launch = launches.get(work.key)
        if launch is None:
            launch = launches[work.key] = wp.launch(work, dim=1, inputs=[0, *arguments], device=self.name, record_cmd=True)
        else:
            for index, argument in enumerate(arguments, 1):
                launch.set_param_at_index_from_ctype(index, argument.__ctype__() if hasattr(argument, "__ctype__") else argument)

        def run(start: int, stop: int) -> None:
            launch.set_dim(stop - start)
            launch.set_param_at_index_from_ctype(0, start)
            launch.launch()

        return run
