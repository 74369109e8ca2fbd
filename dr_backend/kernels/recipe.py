"""Work that is done again and again with tensors of the same sizes: planned once.

What Python and torch do around kernels takes as long as the kernels of a small image, and several times as long while these keep pushing
it out of the processor's caches. So the functions that plan work are called with tensors that have a shape but no memory, what they would
run is taken down as the crew reads it, and later calls only fill in where their own tensors lie.

Such a tensor's place in its storage says which tensor it will be a part of: every one of these has a segment of the address space.
"""

from __future__ import annotations

import ctypes
import struct
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from .launch import Launcher, Work, as_bytes

T = TypeVar("T")

_SEGMENT = 1 << 36  # bytes
_SEGMENTS = 1 << 10
_ALIGNED = 64  # bytes: a line of the cache
_MOST_RECIPES = 128  # of one kind
_SPARE = 1.5  # times what there was not enough room for

Address = tuple[int, int]  # segment, and bytes from its start


class Recorder(Launcher):
    """Stands in for a launcher: takes down what is to be run, and hands out tensors without memory."""

    def __init__(self, launcher: Launcher, held: int, given: Sequence[Tensor | None], rooms: Sequence[int]) -> None:
        """The first ``held`` segments are those of an earlier recipe, then come the tensors that are ``given``, then its own.

        ``rooms`` are for what ``count`` is asked for, in turn; beyond them the guesses hold.
        """
        self.device, self.memory = launcher.device, torch.device("meta")
        self.threads, self._programs, self._crew = launcher.threads, launcher._programs, None
        self._space = torch.empty(_SEGMENT * _SEGMENTS, dtype=torch.uint8, device="meta")
        self._rooms, self.counts = list(rooms), list[tuple[Address, int]]()
        self.stages: list[Sequence[Work]] = []
        self._next = held
        self.given = [None if each is None else self._apart(each.shape, each.dtype) for each in given]
        self._arena, self._next = self._next, self._next + 2  # of tensors that go together; in the second are those that start with zeros
        self.made: list[tuple[Any, torch.dtype]] = [(0, torch.uint8), (0, torch.uint8)]  # sizes of its own segments' tensors
        self.cleared = [1]  # those of them that start with zeros

    def empty(self, *size: int, dtype: torch.dtype = torch.float32, lasting: bool = False) -> Tensor:
        """See ``Launcher``; one that lasts has a segment of its own."""
        if not lasting:
            return self._within(0, size, dtype)
        self.made.append((size, dtype))
        return self._apart(size, dtype)

    def zeros(self, *size: int, dtype: torch.dtype = torch.float32, lasting: bool = False) -> Tensor:
        """See ``empty``."""
        if not lasting:
            return self._within(1, size, dtype)
        self.cleared.append(len(self.made))
        return self.empty(*size, dtype=dtype, lasting=True)

    def count(self, starts: Tensor, guess: int) -> int:
        """Room for so many things; whether it suffices turns out when the work is done."""
        number = len(self.counts)
        room = self._rooms[number] if number < len(self._rooms) else guess
        self.counts.append((_address(starts[-1:]), room))
        return room

    def run(self, *stages: Sequence[Work]) -> None:
        """Takes them down."""
        self.stages += stages

    def _within(self, arena: int, size: Sequence[int], dtype: torch.dtype) -> Tensor:
        start, length = self.made[arena][0], prod(size) * dtype.itemsize
        self.made[arena] = start + -(-length // _ALIGNED) * _ALIGNED, torch.uint8
        return self._at((self._arena + arena) * _SEGMENT + start, length, size, dtype)

    def _apart(self, size: Sequence[int], dtype: torch.dtype) -> Tensor:
        self._next += 1
        return self._at((self._next - 1) * _SEGMENT, prod(size) * dtype.itemsize, size, dtype)

    def _at(self, address: int, length: int, size: Sequence[int], dtype: torch.dtype) -> Tensor:
        return self._space[address : address + length].view(dtype).view(*size)


def _address(tensor: Tensor) -> Address:
    return divmod(tensor.storage_offset() * tensor.element_size(), _SEGMENT)


@dataclass(frozen=True, eq=False)
class Recipe:
    """A plan whose tensors are still to be filled in, and what came of planning it."""

    result: Any  # of the function that planned it; its tensors have no memory
    words: np.ndarray  # the plan, with places in segments where there will be addresses
    tasks: int
    threads: int
    pointers: np.ndarray  # which words these are
    segments: np.ndarray  # and of which segment
    told: list[tuple[int, int, int]]  # where something is written that kernels are told, in bytes; its number and its length
    made: list[tuple[Any, torch.dtype]]  # see ``Recorder``
    cleared: list[tuple[int, int]]  # with bytes
    counts: list[tuple[Address, int]]  # where a number is found, and how large it may be
    after: OrderedDict[Hashable, Recipe | None] = field(default_factory=OrderedDict)  # recipes for what is done with its result

    def follow(self, launcher: Launcher, known: Sequence[Tensor | None], told: Sequence[bytes]) -> Done[Any]:
        """Does the work. ``known`` are the tensors of all segments before its own."""
        tensors = [*known, *(torch.empty(size, dtype=dtype) for size, dtype in self.made)]
        starts = [0 if each is None else each.data_ptr() for each in tensors]
        for number, length in self.cleared:
            ctypes.memset(starts[len(known) + number], 0, length)  # in a fraction of the time that torch takes
        words = self.words.copy()
        words[self.pointers] += np.array(starts, np.int64)[self.segments]
        text = memoryview(words).cast("B")
        for place, number, length in self.told:
            text[place : place + length] = told[number]
        assert launcher._crew is not None
        launcher._crew.perform(words.__array_interface__["data"][0], self.tasks, self.threads)
        return Done(self.result, self, tensors, starts, told)


@dataclass
class Done(Generic[T]):
    """Work that is done: directly, so that its result holds tensors like any others, or by a recipe, so that these must be looked up."""

    result: T
    recipe: Recipe | None = None
    tensors: list[Tensor | None] = field(default_factory=list)  # of all segments
    starts: list[int] = field(default_factory=list)  # their addresses
    told: Sequence[bytes] = ()

    def real(self, tensor: Tensor) -> Tensor:
        """A tensor of the result as what it came to be."""
        if self.recipe is None:
            return tensor
        segment, start = _address(tensor)
        whole = self.tensors[segment]
        assert whole is not None
        if start == 0 and whole.shape == tensor.shape and whole.dtype == tensor.dtype:
            return whole
        length = tensor.numel() * tensor.element_size()
        return whole.view(-1).view(torch.uint8)[start : start + length].view(tensor.dtype).view(tensor.shape)

    def blank(self, tensor: Tensor) -> bool:
        """Whether a tensor of the result holds nothing but zeros."""
        if self.recipe is None:
            return not tensor.any()
        segment, start = _address(tensor)
        length = tensor.numel() * tensor.element_size()
        return ctypes.string_at(self.starts[segment] + start, length) == bytes(length)

    def last(self, tensor: Tensor) -> int:
        """The last number of a tensor of integers of the result."""
        if self.recipe is None:
            return int(tensor[-1])
        segment, start = _address(tensor)
        return self._integer((segment, start + (tensor.numel() - 1) * tensor.element_size()))

    def forget(self, tensor: Tensor) -> None:
        """Lets go of a lasting tensor of the result."""
        if self.recipe is not None:
            self.tensors[_address(tensor)[0]] = None

    def rooms(self) -> list[int] | None:
        """Room that will do for all, if there was not enough for something: then nothing of what was done counts."""
        assert self.recipe is not None
        rooms = [(self._integer(address), room) for address, room in self.recipe.counts]
        if all(number <= room for number, room in rooms):
            return None
        return [room if number <= room else int(number * _SPARE) for number, room in rooms]

    def _integer(self, address: Address) -> int:
        return ctypes.c_int.from_address(self.starts[address[0]] + address[1]).value


def follow(
    launcher: Launcher, recipes: OrderedDict[Hashable, Recipe | None], key: Hashable, build: Callable[[Recorder], T],
    held: Sequence[Tensor | None], given: Sequence[Tensor | None], stand_ins: Sequence[bytes], told: Sequence[bytes],
    rooms: Sequence[int] = (), at_once: bool = False,
) -> Done[T] | None:
    """Does work by the recipe for ``key``, or by a new one if there is none yet, once it is wanted again or ``at_once``; else ``None``.

    ``build`` plans the work for a recorder; the tensors ``given`` are that one's in another guise, and ``held`` those of an earlier recipe
    which it may know. Where it tells kernels one of the ``stand_ins``, they are told what stands there in ``told``. Graphics cards
    have no recipes: torch does a part of the work.
    """
    if launcher._crew is None or not all(each is None or each.is_contiguous() for each in given):
        return None
    key = key, tuple(None if each is None else (each.dtype, each.shape) for each in given)
    recipe = recipes.get(key)
    if recipe is None and key not in recipes and not at_once:
        _enter(recipes, key, None)
        return None
    known = [*held, *(each for each in given if each is not None)]
    while True:
        if recipe is None:
            recipe = _written(launcher, build, held, given, stand_ins, rooms)
            _enter(recipes, key, recipe)
        done = recipe.follow(launcher, known, told)
        more = done.rooms()
        if more is None:
            return done
        rooms, recipe = more, None


def _enter(recipes: OrderedDict[Hashable, Recipe | None], key: Hashable, recipe: Recipe | None) -> None:
    recipes[key] = recipe
    if len(recipes) > _MOST_RECIPES:
        recipes.popitem(last=False)


def _written(
    launcher: Launcher, build: Callable[[Recorder], Any], held: Sequence[Tensor | None], given: Sequence[Tensor | None],
    stand_ins: Sequence[bytes], rooms: Sequence[int],
) -> Recipe:
    """See ``follow``."""
    recorder = Recorder(launcher, len(held), given, rooms)
    result = build(recorder)
    plan = launcher.planned(recorder.stages)
    recorder.stages.clear()  # the result may hold the recorder
    words, pointers, segments, told = np.frombuffer(plan.text, np.int64).copy(), [], [], []
    for launch, start in plan.launches:
        for place, argument in zip(launcher.program(launch).places, launch.arguments, strict=True):
            if isinstance(argument, Tensor):
                segment, words[(start + place) // 8] = _address(argument)
                assert argument.is_meta, "a tensor is neither given nor made by the recorder"
                assert segment >= len(held) or held[segment] is not None
                pointers.append((start + place) // 8)
                segments.append(segment)
            elif argument is not None and not isinstance(argument, int):
                value = struct.pack("=f", argument) if isinstance(argument, float) else as_bytes(argument)
                if value in stand_ins:
                    told.append((start + place, stand_ins.index(value), len(value)))
    sizes = [(each, recorder.made[each]) for each in recorder.cleared]
    cleared = [(each, (size if isinstance(size, int) else prod(size)) * dtype.itemsize) for each, (size, dtype) in sizes]
    return Recipe(
        result, words, plan.tasks, plan.threads, np.array(pointers, np.int64), np.array(segments, np.int64), told, recorder.made, cleared,
        recorder.counts,
    )
