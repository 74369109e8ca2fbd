"""Running kernels: over the cores of a processor, or on a GPU."""

from __future__ import annotations

import ctypes
import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from functools import cache
from itertools import chain, pairwise, zip_longest
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import torch
import warp as wp
from torch import Tensor

from .arrays import LAYOUT, Descriptor, Kind, descriptor, fields_of, kind_of
from .crew import MOST_BYTES, TASK, Crew, follow, lead

T = TypeVar("T")

_loading = Lock()

WORTH_WAKING = 20_000  # pixels or faces for each thread that is woken to help
BLOCK = 1_000  # pixels or faces; fewer are not worth being shared even with a thread that is awake
BLOCKS_PER_THREAD = 4  # more blocks than threads even out owners with more and less work
CHUNKS = 32  # parts of a list on a processor; fixed, so that results do not depend on the number of threads

wp.config.log_level = wp.LOG_ERROR
# A precompiled header pays for modules that compile one after the other. Ours do so side by side, and each would make one of its own.
wp.config.use_precompiled_headers = False


def _module(name: str, fused: bool = True) -> wp.Module:
    """A part of the kernels that is compiled together. Nothing is differentiated by Warp.

    Unless ``fused`` products are rounded before they are added, as torch does it: thus both rasterizers agree on which pixels see what.
    """
    module = wp.get_module(f"fit_to_photo_{name}")
    module.options.update({"enable_backward": False, "fuse_fp": fused})
    return module


# Every scene needs the first two, which take equally long to compile, side by side; the others are compiled when they are needed.
BASIS = (_module("outlines", fused=False), _module("insides"))
CUTS, LAMPS, PLACES = _module("cuts", fused=False), _module("lamps"), _module("places")
GRAPHICS = _module("graphics", fused=False)  # steps that only graphics cards take one by one
FITTING = _module("fitting")  # what a fit does beside rendering
_loaded: set[tuple[str, str, int]] = set()  # on which device, which module, and how many kernels it had then


def _decorator(module: wp.Module) -> Callable[[Callable[..., None]], wp.Kernel]:
    return lambda function: wp.kernel(function, module=module)


# Decorators for Warp kernels of this package. Their first argument is the number of the first owner of a launch.
kernel = _decorator(BASIS[0])
inside_kernel = _decorator(BASIS[1])  # happens within faces, where products and sums may be rounded together, which is faster
cut_kernel, lamp_kernel, place_kernel, fit_kernel = _decorator(CUTS), _decorator(LAMPS), _decorator(PLACES), _decorator(FITTING)
graphics_kernel = _decorator(GRAPHICS)


def once(text: str) -> str:
    """C++ for ``wp.func_native`` that is compiled once: Warp compiles kernels for arrays without gaps and for others, long texts too."""
    return f"const auto body = [&]() __attribute__((noinline)) {{{text}}};\nreturn body();"


def load(device: torch.device, modules: Sequence[wp.Module]) -> None:
    """Compiles kernels for a device side by side, or takes them from Warp's cache; once for all threads."""
    name = "cpu" if device.type == "cpu" else f"cuda:{device.index or 0}"
    with _loading:
        missing = [module for module in modules if (name, module.name, len(module.kernels)) not in _loaded]
        if missing:
            wp.force_load(name, missing, max_workers=len(missing))
            _loaded.update((name, module.name, len(module.kernels)) for module in missing)


class Launch:
    """A kernel that is to be called for ``owners`` owners, who have ``items`` pixels or faces between them if these are more.

    Nobody is woken for few items: that would take longer. With ``alone`` one thread works through the owners in order. Arguments that are
    tensors are lists of numbers or vectors; they are kept until the kernel has run. ``then`` is a launch of as many owners that each
    need what the same owner of this did, and no other.
    """

    __slots__ = ("alone", "arguments", "items", "owners", "then", "work")

    def __init__(self, work: wp.Kernel, owners: int, *arguments: Any, items: int = 0, alone: bool = False) -> None:
        self.work, self.owners, self.arguments, self.items, self.alone = work, owners, arguments, max(owners, items), alone
        self.then: Launch | None = None


def chained(launches: Sequence[Launch]) -> Launch:
    """The first of some launches of which each follows the one before, owner by owner."""
    for launch, follower in pairwise(launches):
        launch.then = follower
    return launches[0]


class Call:
    """Something else to be done in its turn, on a GPU, where torch has ready what would take several kernels."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function


Work = Launch | Call
Stage = Work | Sequence[Work]  # several at once need nothing of each other
# What is done for one view: it hands out work, each stage of which may need those before it, is resumed when that is done, and ends with a
# result. Much at a time is better than little: between kernels all threads wait for Python, which has left the caches meanwhile.
Steps = Generator[Sequence[Stage], None, T]


@inside_kernel
def _lead(first: int, crew: wp.uint64, plan: wp.uint64, tasks: int, recipe: wp.uint64, segments: wp.uint64):
    """See ``lead``. There is one owner."""
    lead(crew, plan, tasks, recipe, segments)


@inside_kernel
def _follow(first: int, crew: wp.uint64, patience: int, rather_odd: int):
    """See ``follow``. There is one owner."""
    follow(crew, patience, rather_odd)


_NUMBERS = {ctypes.c_int: "i", ctypes.c_float: "f", ctypes.c_uint64: "Q"}


@cache
def _kinds(work: wp.Kernel) -> list[Kind | None]:
    """What a kernel takes after the number of its first owner."""
    return [kind_of(argument.type) for argument in work.adj.args[1:]]


def as_bytes(value: Any) -> bytes:
    """A struct, vector or matrix of Warp as kernels read it."""
    return bytes(value.__ctype__() if hasattr(value, "__ctype__") else value)


def typed(launch: Launch) -> list[Any]:
    """Arguments as Warp takes them."""
    return [each if kind is None else descriptor(each, kind) for each, kind in zip(launch.arguments, _kinds(launch.work), strict=True)]


class _Program:
    """A kernel compiled for a processor: a C function, which lets other threads run Python while it works."""

    def __init__(self, launch: Launch) -> None:
        found = wp.launch(launch.work, dim=1, inputs=[0, *typed(launch)], device="cpu", record_cmd=True)  # checks their types
        bounds, *parameters = found.params
        self._found = found  # the code lives as long as this
        self._function, self._one = found.hooks.forward, ctypes.byref(bounds)
        self.address = ctypes.cast(found.hooks.forward, ctypes.c_void_p).value
        kinds = [type(p) for p in parameters]
        fields = type("Arguments", (ctypes.Structure,), {"_fields_": [(f"_{i}", kind) for i, kind in enumerate(kinds)]})
        layout, end = "=", 0
        self.places: list[int] = []  # of each argument but the first, in bytes
        for number, kind in enumerate(kinds):
            field = getattr(fields, f"_{number}")
            self.places += [field.offset] if number else []
            layout += f"{field.offset - end}x" + (LAYOUT if kind is Descriptor else _NUMBERS.get(kind, f"{field.size}s"))
            end = field.offset + field.size
        self._layout = struct.Struct(layout + f"{-end % 8}x")
        self._kinds = [(each, kind not in _NUMBERS) for each, kind in zip(_kinds(launch.work), kinds[1:], strict=True)]
        assert self._layout.size <= MOST_BYTES

    def packed(self, arguments: Sequence[Any]) -> bytes:
        """Arguments as the function reads them, for owners from 0 on. Warp packs them anew for each launch, in ten times the time."""
        values: list[Any] = [0]
        for argument, (kind, structured) in zip(arguments, self._kinds, strict=True):
            if kind is not None:
                values += fields_of(argument, kind)
            elif structured:
                values.append(as_bytes(argument))
            else:
                values.append(argument)
        return self._layout.pack(*values)

    def __call__(self, *numbers: int) -> None:
        """Calls the function, which takes nothing but numbers, for one owner."""
        self._function(self._one, self._layout.pack(0, *numbers))


class Plan(NamedTuple):
    """Launches as the crew reads them, see ``crew.TASK``."""

    text: bytes
    tasks: int
    threads: int  # that are worth being woken
    launches: list[tuple[Launch, int]]  # where each one's arguments start, in bytes


class Launcher:
    """A device, and how many threads may work on it.

    On a processor one launch runs on one thread, and launches from several threads run side by side: so the owners of a launch are dealt
    out in blocks. A GPU gets them all at once.
    """

    def __init__(self, device: torch.device, threads: int) -> None:
        self.device = self.memory = device
        self.threads = threads if device.type == "cpu" else 1
        self._programs: dict[wp.Kernel, _Program] = {}
        self.recipes: OrderedDict[Hashable, Any] = OrderedDict()  # see ``recipe``
        self._crew: Crew | None = None
        if device.type == "cpu":
            self._crew = Crew(self.threads, _Program(Launch(_lead, 1, 0, 0, 0, 0, 0)), _Program(Launch(_follow, 1, 0, 0, 0)))

    def empty(self, *size: int, dtype: torch.dtype = torch.float32, lasting: bool = False) -> Tensor:
        """A tensor to be filled. One that is handed out, or kept longer than others of the same work, is ``lasting``."""
        return torch.empty(size, dtype=dtype, device=self.memory)

    def zeros(self, *size: int, dtype: torch.dtype = torch.float32, lasting: bool = False) -> Tensor:
        """A tensor to be added to."""
        return torch.zeros(size, dtype=dtype, device=self.memory)

    def count(self, starts: Tensor, guess: int) -> int:
        """The last number of a tensor that work which has run has filled, or a greater one: room for so many things.

        ``guess`` is for those who cannot know it yet.
        """
        return int(starts[-1])

    def chunks(self, count: int, on_gpu: int) -> tuple[int, int]:
        """How many owners share ``count`` things, and how many of these each has: ``on_gpu`` on a GPU."""
        owners = CHUNKS if self.device.type == "cpu" else max(1, -(-count // on_gpu))
        return owners, -(-count // owners)

    def run(self, *stages: Sequence[Work]) -> None:
        """Calls kernels stage by stage. In a stage none needs what another does; all threads take part in all of them."""
        if self._crew is None:
            for each in chain.from_iterable(stages):
                if isinstance(each, Call):
                    each.function()
                elif each.owners > 0:
                    launch: Launch | None = each
                    while launch is not None:
                        self._queue(launch)
                        launch = launch.then
            return
        plan = self.planned(stages)
        self._crew.perform(ctypes.cast(plan.text, ctypes.c_void_p).value or 0, plan.tasks, plan.threads)

    def planned(self, stages: Sequence[Sequence[Work]]) -> Plan:
        """What the crew is to read. ``stages`` are launches only."""
        tasks: list[tuple[Launch | None, int]] = []  # with the number of blocks; None ends a stage
        most = 0
        for stage in stages:
            items = 0
            for each in stage:
                assert isinstance(each, Launch)
                if each.owners > 0:
                    tasks.append((each, self._blocks(each)))
                    items += 0 if each.alone else each.items
                    follower = each.then
                    while follower is not None:
                        assert follower.owners == each.owners
                        tasks.append((follower, 0))
                        items, follower = items + follower.items, follower.then
            tasks.append((None, 0))
            most = max(most, items)
        records, packed, launches, place = [], [], [], TASK.size * len(tasks)
        for launch, blocks in tasks:
            if launch is None:
                records.append(TASK.pack(0, 0, 0, 0, 0))
                continue
            program = self.program(launch)
            arguments = program.packed(launch.arguments)
            records.append(TASK.pack(program.address, place, len(arguments), launch.owners, blocks))
            packed.append(arguments)
            launches.append((launch, place))
            place += len(arguments)
        return Plan(b"".join(records + packed), len(tasks), 1 + most // WORTH_WAKING, launches)

    def _queue(self, launch: Launch) -> None:
        """Calls a kernel on the GPU, after what torch has asked of it before."""
        load(self.device, [launch.work.module])
        stream = wp.stream_from_torch(torch.cuda.current_stream(self.device))
        wp.launch(launch.work, dim=launch.owners, inputs=[0, *typed(launch)], stream=stream)

    def program(self, launch: Launch) -> _Program:
        """The kernel of a launch, compiled for this processor."""
        program = self._programs.get(launch.work)
        if program is None:
            load(self.device, [launch.work.module])
            program = self._programs[launch.work] = _Program(launch)
        return program

    def _blocks(self, launch: Launch) -> int:
        """Into how many parts a launch is divided."""
        if launch.alone or self.threads < 2:
            return min(1, launch.owners)
        return min(launch.owners, self.threads * BLOCKS_PER_THREAD, 1 + launch.items // BLOCK)

    def together(self, routines: Iterable[Steps[T]]) -> list[T]:
        """The results of what is done for several views, side by side: each time all have handed out launches, these run."""
        going = dict(enumerate(routines))
        results: dict[int, T] = {}
        while going:
            given = []
            for index, routine in list(going.items()):
                try:
                    given.append(next(routine))
                except StopIteration as end:
                    results[index] = end.value
                    del going[index]
            if given:
                self.run(*side_by_side(given))
        return [results[index] for index in sorted(results)]


def side_by_side(parts: Sequence[Sequence[Stage]]) -> list[list[Work]]:
    """The stages of work of which each part has an order, and the parts none."""
    rows = zip_longest(*parts, fillvalue=())
    return [[work for stage in row for work in (stage if isinstance(stage, Sequence) else [stage])] for row in rows]


@cache
def shared_launcher(device: torch.device) -> Launcher:
    """The launcher of all who do not ask for a number of threads: helping threads of several would be in each other's way."""
    return Launcher(device, os.cpu_count() or 1)


def fitting_launcher() -> Launcher:
    """The launcher of ``fit_kernel``, which is for processors."""
    return shared_launcher(torch.device("cpu"))
