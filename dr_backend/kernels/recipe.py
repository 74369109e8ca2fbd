"""Work that is done again and again with tensors of the same sizes: planned once.

What Python and torch do around kernels takes as long as the kernels of a small image, and several times as long while these keep pushing
it out of the processor's caches. So the functions that plan work are called with tensors that have a shape but no memory, what they would
run is taken down as the crew reads it, and later calls only fill in where their tensors lie.
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

from .launch import Launcher, Plan, Work, as_bytes

T = TypeVar("T")

_SEGMENT = 1 << 36  # bytes between the addresses of what later lies in different tensors
_MOST_SEGMENTS = 1 << 10
_ALIGNED = 64  # bytes: a line of the cache
_MOST_RECIPES = 128  # of a launcher
_SPARE = 1.5  # times the room that turned out too small


class Recorder(Launcher):
    """Stands in for a launcher: takes down what is to be run, and gives out tensors without memory."""

    def __init__(self, launcher: Launcher, held: int, given: Sequence[Tensor | None], rooms: Sequence[int]) -> None:
        """The first ``held`` segments are those of an earlier recipe, then come the tensors that are ``given``.

        ``rooms`` are for what ``count`` is asked for, in turn; beyond them the guesses count.
        """
        self.device, self.memory = launcher.device, torch.device("meta")
        self.threads, self._programs, self._crew = launcher.threads, launcher._programs, None
        self._rooms = list(rooms)
        self.counts: list[tuple[Tensor, int]] = []
        self.stages: list[Sequence[Work]] = []
        self._space = torch.empty(_SEGMENT * _MOST_SEGMENTS, dtype=torch.uint8, device="meta")
        self._next = held
        self.given = [None if each is None else self._apart(each.shape, each.dtype) for each in given]
        self.arena, self._next = self._next, self._next + 2  # then one that is cleared
        self.used = [0, 0]  # bytes of the two
        self.lasting: list[tuple[tuple[int, ...], torch.dtype]] = []

    def empty(self, *size: int, dtype: torch.dtype = torch.float32, lasting: bool = False) -> Tensor:
        if lasting:
            self.lasting.append((size, dtype))
            return self._apart(size, dtype)
        return self._within(0, size, dtype)

    def zeros(self, *size: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return self._within(1, size, dtype)

    def count(self, starts: Tensor, guess: int) -> int:
        number = len(self.counts)
        room = self._rooms[number] if number < len(self._rooms) else guess
        self.counts.append((starts[-1:], room))
        return room

    def run(self, *stages: Sequence[Work]) -> None:
        self.stages += stages

    def _within(self, arena: int, size: Sequence[int], dtype: torch.dtype) -> Tensor:
        start, taken = self.used[arena], prod(size) * dtype.itemsize
        self.used[arena] += -(-taken // _ALIGNED) * _ALIGNED
        return self._at((self.arena + arena) * _SEGMENT + start, taken, size, dtype)

    def _apart(self, size: Sequence[int], dtype: torch.dtype) -> Tensor:
        self._next += 1
        return self._at((self._next - 1) * _SEGMENT, prod(size) * dtype.itemsize, size, dtype)

    def _at(self, address: int, taken: int, size: Sequence[int], dtype: torch.dtype) -> Tensor:
        return self._space[address : address + taken].view(dtype).view(*size)


def _address(tensor: Tensor) -> tuple[int, int]:
    """The segment of a tensor without memory, and where in it it starts, in bytes."""
    return divmod(tensor.storage_offset() * tensor.element_size(), _SEGMENT)


@dataclass(frozen=True, eq=False)
class Recipe:
    """A plan whose tensors are still to be filled in, and what came of planning it."""

    result: Any  # of the function that planned it; its tensors have no memory
    words: np.ndarray  # the plan
    tasks: int
    threads: int
    pointers: np.ndarray  # which words are addresses of tensors: these hold how far from the start of a segment, for now
    segments: np.ndarray  # which one each of these is in
    values: list[tuple[int, Hashable, int]]  # where a value that differs from call to call is written, in bytes; its name; its length
    used: tuple[int, int]  # bytes of tensors that go together: those to be filled, and those to be added to
    lasting: list[tuple[tuple[int, ...], torch.dtype]]
    counts: list[tuple[tuple[int, int], int]]  # the address of a number, and how large it may be
    after: OrderedDict[Hashable, Recipe | None] = field(default_factory=OrderedDict)  # for what is done with its result

    def follow(self, launcher: Launcher, known: Sequence[Tensor | None], values: dict[Hashable, bytes]) -> list[Tensor | None]:
        """Does the work. ``known`` are the tensors of all segments before its own; returns them and those."""
        tensors = [
            *known,
            torch.empty(self.used[0], dtype=torch.uint8),
            torch.zeros(self.used[1], dtype=torch.uint8),
            *(torch.empty(size, dtype=dtype) for size, dtype in self.lasting),
        ]
        starts = np.array([0 if each is None else each.data_ptr() for each in tensors], np.int64)
        words = self.words.copy()
        words[self.pointers] += starts[self.segments]
        text = memoryview(words).cast("B")
        for place, name, length in self.values:
            text[place : place + length] = values[name]
        assert launcher._crew is not None
        launcher._crew.perform(words.__array_interface__["data"][0], self.tasks, self.threads)
        return tensors

    def short(self, tensors: Sequence[Tensor | None]) -> list[int] | None:
        """Rooms that will do, if one of them turned out too small: then nothing of what was done counts."""
        found = [_integer(tensors, address) for address, _ in self.counts]
        rooms = [room for _, room in self.counts]
        if all(number <= room for number, room in zip(found, rooms, strict=True)):
            return None
        return [room if number <= room else int(number * _SPARE) + 1 for number, room in zip(found, rooms, strict=True)]


@dataclass
class Done(Generic[T]):
    """Work that is done: directly, where its result holds tensors like any others, or by a recipe, where these are still to be filled in."""

    result: T
    recipe: Recipe | None = None
    tensors: list[Tensor | None] = field(default_factory=list)  # of all segments
    values: dict[Hashable, bytes] = field(default_factory=dict)

    def real(self, tensor: Tensor) -> Tensor:
        """A tensor of the result as what it came to be."""
        if self.recipe is None:
            return tensor
        segment, start = _address(tensor)
        whole = self.tensors[segment]
        assert whole is not None
        if start == 0 and whole.shape == tensor.shape and whole.dtype == tensor.dtype:
            return whole
        taken = tensor.numel() * tensor.element_size()
        return whole.reshape(-1).view(torch.uint8)[start : start + taken].view(tensor.dtype).view(tensor.shape)

    def numbers(self, tensor: Tensor) -> tuple[float, ...]:
        """What a tensor of floats of the result holds, in less time."""
        if self.recipe is None:
            return tuple(tensor.tolist())
        count = tensor.numel()
        return struct.unpack(f"={count}f", ctypes.string_at(_pointer(self.tensors, _address(tensor)), 4 * count))

    def last(self, tensor: Tensor) -> int:
        """The last number of a tensor of integers of the result."""
        return int(tensor[-1]) if self.recipe is None else _integer(self.tensors, _address(tensor[-1:]))

    def forget(self, tensor: Tensor) -> None:
        """Lets go of a lasting tensor of the result."""
        if self.recipe is not None:
            self.tensors[_address(tensor)[0]] = None


def _pointer(tensors: Sequence[Tensor | None], address: tuple[int, int]) -> int:
    tensor = tensors[address[0]]
    assert tensor is not None
    return tensor.data_ptr() + address[1]


def _integer(tensors: Sequence[Tensor | None], address: tuple[int, int]) -> int:
    return ctypes.c_int.from_address(_pointer(tensors, address)).value


def follow(
    launcher: Launcher, recipes: OrderedDict[Hashable, Recipe | None], key: Hashable, build: Callable[[Recorder], T],
    held: Sequence[Tensor | None], given: Sequence[Tensor | None], stand_ins: dict[bytes, Hashable], values: dict[Hashable, bytes],
    rooms: Sequence[int] = (), at_once: bool = False,
) -> Done[T] | None:
    """Does work by the recipe for ``key``, or by a new one if there is none yet, once it is wanted again or ``at_once``; else ``None``.

    ``build`` plans the work for a launcher, which hands it tensors like those that are ``given``. Where it tells kernels one of
    the ``stand_ins``, they are told the value of that name. ``held`` are tensors of an earlier recipe, which it may know.
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
            recipe = _recipe(launcher, build, held, given, stand_ins, rooms)
            _enter(recipes, key, recipe)
        tensors = recipe.follow(launcher, known, values)
        short = recipe.short(tensors)
        if short is None:
            return Done(recipe.result, recipe, tensors, values)
        rooms, recipe = short, None


def _enter(recipes: OrderedDict[Hashable, Recipe | None], key: Hashable, recipe: Recipe | None) -> None:
    recipes[key] = recipe
    if len(recipes) > _MOST_RECIPES:
        recipes.popitem(last=False)


def _recipe(
    launcher: Launcher, build: Callable[[Recorder], Any], held: Sequence[Tensor | None], given: Sequence[Tensor | None],
    stand_ins: dict[bytes, Hashable], rooms: Sequence[int],
) -> Recipe:
    """``build`` plans work and returns what comes of it. Where it hands one of the ``stand_ins`` to a kernel, a value is filled in later."""
    recorder = Recorder(launcher, len(held), given, rooms)
    result = build(recorder)
    plan = launcher.planned(recorder.stages)
    pointers, segments, values = [], [], []
    words = np.frombuffer(plan.text, np.int64).copy()
    for place, argument in _arguments(launcher, plan):
        if isinstance(argument, Tensor):
            segment, start = _address(argument)
            assert argument.is_meta and (segment >= len(held) or held[segment] is not None)
            words[place // 8] = start
            pointers.append(place // 8)
            segments.append(segment)
        elif argument is not None and not isinstance(argument, int):
            value = struct.pack("=f", argument) if isinstance(argument, float) else as_bytes(argument)
            if value in stand_ins:
                values.append((place, stand_ins[value], len(value)))
    return Recipe(
        result, words, plan.tasks, plan.threads, np.array(pointers, np.int64), np.array(segments, np.int64), values,
        (recorder.used[0], recorder.used[1]), recorder.lasting, [(_address(tensor), room) for tensor, room in recorder.counts],
    )


def _arguments(launcher: Launcher, plan: Plan) -> list[tuple[int, Any]]:
    """All arguments of a plan, and where they lie, in bytes."""
    return [
        (start + place, argument)
        for launch, start in plan.launches
        for place, argument in zip(launcher.program(launch).places, launch.arguments, strict=True)
    ]
