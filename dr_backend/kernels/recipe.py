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
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from .crew import CLEARED, FILL, RECIPE
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

    def __init__(self, launcher: Launcher, held: Recipe | None, given: Sequence[Tensor | None], told: int, rooms: Sequence[int]) -> None:
        """The first segments are those of a recipe that was ``held`` on to, then come the tensors that are ``given``, as many with what
        kernels are ``told``, and its own.

        ``rooms`` are for what ``count`` is asked for, in turn; beyond them the guesses hold.
        """
        self.device, self.memory = launcher.device, torch.device("meta")
        self.threads, self._programs, self._crew = launcher.threads, launcher._programs, None
        self._space = torch.empty(_SEGMENT * _SEGMENTS, dtype=torch.uint8, device="meta")
        self._rooms, self.counts = list(rooms), list[tuple[int, int, int]]()
        self.stages: list[Sequence[Work]] = []
        self._next = 0 if held is None else held.arena + 1 + len(held.made)
        self.given = [None if each is None else self._apart(each.shape, each.dtype) for each in given]
        self.told = {} if held is None else dict(held.told)
        self._first_told = self._next
        self.arena = self._next + told  # of tensors that go together
        self._next = self.arena + 1
        self.size = 0  # of the arena, in bytes
        self.made: list[tuple[Sequence[int], torch.dtype]] = []  # tensors of the segments after it
        self.cleared: list[tuple[Address, int]] = []  # what starts with zeros, and how long it is

    def empty(self, *size: int, dtype: torch.dtype = torch.float32, lasting: bool = False) -> Tensor:
        """See ``Launcher``; one that lasts has a segment of its own."""
        if lasting:
            self.made.append((size, dtype))
            return self._apart(size, dtype)
        start, length = self.size, prod(size) * dtype.itemsize
        self.size += -(-length // _ALIGNED) * _ALIGNED
        return self._at(self.arena * _SEGMENT + start, length, size, dtype)

    def zeros(self, *size: int, dtype: torch.dtype = torch.float32, lasting: bool = False) -> Tensor:
        """See ``empty``."""
        made = self.empty(*size, dtype=dtype, lasting=lasting)
        self.cleared.append((_address(made), prod(size) * dtype.itemsize))
        return made

    def count(self, starts: Tensor, guess: int) -> int:
        """Room for so many things; whether it suffices turns out when the work is done."""
        number = len(self.counts)
        room = self._rooms[number] if number < len(self._rooms) else guess
        self.counts.append((*_address(starts[-1:]), room))
        return room

    def run(self, *stages: Sequence[Work]) -> None:
        """Takes them down."""
        self.stages += stages

    def stand_in(self, number: int, values: Sequence[bytes]) -> None:
        """Where kernels would be told one of these ``values``, they will be told what lies in its place in the tensor of that number."""
        start = 0
        for value in values:
            self.told[value] = self._first_told + number, start
            start += len(value)

    def _apart(self, size: Sequence[int], dtype: torch.dtype) -> Tensor:
        self._next += 1
        return self._at((self._next - 1) * _SEGMENT, prod(size) * dtype.itemsize, size, dtype)

    def _at(self, address: int, length: int, size: Sequence[int], dtype: torch.dtype) -> Tensor:
        return self._space[address : address + length].view(dtype).view(*size)


def _address(tensor: Tensor) -> Address:
    return divmod(tensor.storage_offset() * tensor.element_size(), _SEGMENT)


class _Place(NamedTuple):
    """Where a tensor of a result lies."""

    segment: int
    start: int  # in bytes
    length: int
    like: Tensor  # the tensor itself, without memory


@dataclass(frozen=True, eq=False)
class Recipe:
    """A plan whose tensors are still to be filled in, and what came of planning it."""

    result: Any  # of the function that planned it; its tensors have no memory
    text: ctypes.Array[ctypes.c_char]  # as the crew reads it, see ``crew.RECIPE``
    plan: int  # where in the arena the plan is to be
    tasks: int
    threads: int
    arena: int  # see ``Recorder``
    size: int
    made: list[tuple[Sequence[int], torch.dtype]]
    counts: list[tuple[int, int, int]]  # where a number is found: segment, and bytes from its start; and how large it may be
    told: dict[bytes, Address]
    starts: type[ctypes.Array[ctypes.c_uint64]]  # of all segments
    after: OrderedDict[Hashable, Recipe | None] = field(default_factory=OrderedDict)  # recipes for what is done with its result
    places: dict[int, _Place] = field(default_factory=dict)  # of tensors of the result, as far as they were looked up

    def follow(self, launcher: Launcher, known: Sequence[Tensor | None]) -> Done[Any]:
        """Does the work. ``known`` are the tensors of all segments before its own."""
        arena = torch.empty(self.size, dtype=torch.uint8)
        tensors = [*known, arena, *[torch.empty(size, dtype=dtype) for size, dtype in self.made]]
        starts = self.starts(*[0 if each is None else each.data_ptr() for each in tensors])
        assert launcher._crew is not None
        launcher._crew.perform(
            starts[self.arena] + self.plan, self.tasks, self.threads, ctypes.addressof(self.text), ctypes.addressof(starts)
        )
        return Done(self.result, self, tensors, starts)

    def place(self, tensor: Tensor) -> _Place:
        """Where a tensor of the result lies."""
        found = self.places.get(id(tensor))
        if found is None:
            found = self.places[id(tensor)] = _Place(*_address(tensor), tensor.numel() * tensor.element_size(), tensor)
        return found


@dataclass
class Done(Generic[T]):
    """Work that is done: directly, so that its result holds tensors like any others, or by a recipe, so that these must be looked up."""

    result: T
    recipe: Recipe | None = None
    tensors: list[Tensor | None] = field(default_factory=list)  # of all segments
    starts: Sequence[int] = ()  # their addresses

    def real(self, tensor: Tensor) -> Tensor:
        """A tensor of the result as what it came to be."""
        if self.recipe is None:
            return tensor
        segment, start, length, like = self.recipe.place(tensor)
        whole = self.tensors[segment]
        assert whole is not None
        if start == 0 and whole.shape == like.shape and whole.dtype == like.dtype:
            return whole
        return whole.view(-1).view(torch.uint8)[start : start + length].view(like.dtype).view(like.shape)

    def blank(self, tensor: Tensor) -> bool:
        """Whether a tensor of the result holds nothing but zeros."""
        if self.recipe is None:
            return not tensor.any()
        segment, start, length, _ = self.recipe.place(tensor)
        return ctypes.string_at(self.starts[segment] + start, length) == bytes(length)

    def last(self, tensor: Tensor) -> int:
        """The last number of a tensor of integers of the result."""
        if self.recipe is None:
            return int(tensor[-1])
        segment, start, length, like = self.recipe.place(tensor)
        return self._integer(segment, start + length - like.element_size())

    def take(self, tensor: Tensor) -> Tensor:
        """The same of a lasting one, and lets go of it."""
        taken = self.real(tensor)
        if self.recipe is not None:
            self.tensors[self.recipe.place(tensor).segment] = None
        return taken

    def rooms(self) -> list[int] | None:
        """Room that will do for all, if there was not enough for something: then nothing of what was done counts."""
        assert self.recipe is not None
        for segment, start, room in self.recipe.counts:
            if self._integer(segment, start) > room:
                break
        else:
            return None
        numbers = [(self._integer(segment, start), room) for segment, start, room in self.recipe.counts]
        return [room if number <= room else int(number * _SPARE) for number, room in numbers]

    def _integer(self, segment: int, start: int) -> int:
        return ctypes.c_int.from_address(self.starts[segment] + start).value


def follow(
    launcher: Launcher, recipes: OrderedDict[Hashable, Recipe | None], key: Hashable, build: Callable[[Recorder], T],
    given: Sequence[Tensor | None], told: Sequence[Tensor] = (), held: Done[Any] | None = None, rooms: Sequence[int] = (),
    at_once: bool = False,
) -> Done[T] | None:
    """Does work by the recipe for ``key``, or by a new one if there is none yet, once it is wanted again or ``at_once``; else ``None``.

    ``build`` plans the work for a recorder; the tensors ``given`` are that one's in another guise, and it may know those of the work that
    was ``held`` on to. What kernels are ``told`` stands in these tensors where the recorder knows of a ``stand_in``. Graphics cards have
    no recipes: torch does a part of the work.
    """
    if launcher._crew is None:
        return None
    for each in given:
        if each is not None and not each.is_contiguous():
            return None
    key = key, tuple([None if each is None else (each.dtype, each.shape) for each in given])
    recipe = recipes.get(key)
    if recipe is None and key not in recipes and not at_once:
        _enter(recipes, key, None)
        return None
    known = [*(() if held is None else held.tensors), *[each for each in given if each is not None], *told]
    while True:
        if recipe is None:
            recipe = _written(launcher, build, None if held is None else held.recipe, given, len(told), rooms)
            _enter(recipes, key, recipe)
        done = recipe.follow(launcher, known)
        more = done.rooms()
        if more is None:
            return done
        rooms, recipe = more, None


def _enter(recipes: OrderedDict[Hashable, Recipe | None], key: Hashable, recipe: Recipe | None) -> None:
    recipes[key] = recipe
    if len(recipes) > _MOST_RECIPES:
        recipes.popitem(last=False)


def _written(
    launcher: Launcher, build: Callable[[Recorder], Any], held: Recipe | None, given: Sequence[Tensor | None], told: int,
    rooms: Sequence[int],
) -> Recipe:
    """See ``follow``."""
    recorder = Recorder(launcher, held, given, told, rooms)
    result = build(recorder)
    plan = launcher.planned(recorder.stages)
    recorder.stages.clear()  # the result may hold the recorder
    fills = [FILL.pack(CLEARED, segment, start, length) for (segment, start), length in recorder.cleared]
    for launch, start in plan.launches:
        for place, argument in zip(launcher.program(launch).places, launch.arguments, strict=True):
            if isinstance(argument, Tensor):
                assert argument.is_meta, "a tensor is neither given nor made by the recorder"
                fills.append(FILL.pack(start + place, *_address(argument), 0))
            elif argument is not None and not isinstance(argument, int):
                value = struct.pack("=f", argument) if isinstance(argument, float) else as_bytes(argument)
                if value in recorder.told:
                    fills.append(FILL.pack(start + place, *recorder.told[value], len(value)))
    text = RECIPE.pack(len(fills), len(plan.text)) + b"".join(fills) + plan.text
    return Recipe(
        result, ctypes.create_string_buffer(text, len(text)), recorder.size, plan.tasks, plan.threads, recorder.arena,
        recorder.size + len(plan.text), recorder.made, recorder.counts, recorder.told,
        ctypes.c_uint64 * (recorder.arena + 1 + len(recorder.made)),
    )
