"""Threads that work through launches side by side without asking Python in between.

A thread that waits in Python takes 50 to 100 microseconds to wake up, as long as many a kernel runs. So helping threads keep looking for
work for a moment after each: in C++, where Python's lock is not needed. The asking thread hands over plans, whole sequences of launches.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

import warp as wp

PATIENCE = 30_000  # looks for work before a helping thread goes to sleep: a millisecond, as long as torch needs between two plans
MOST_BYTES = 4_096  # of a kernel's arguments
TASK = struct.Struct("QIIII")  # of a plan: address of the function, place and size of its arguments, owners, blocks; see ``Task``
RECIPE = struct.Struct("QQ")  # before a plan that is still to be filled in: the number of the following, and the plan's bytes
FILL = struct.Struct("IIQQ")  # where in the plan, segment, and bytes from its start; how many to copy from there, 0 for its address itself
CLEARED = 0xFFFFFFFF  # instead of a place in the plan: these bytes become zeros
# What the threads share, and in which word; each eight words are a line of the cache. A stage is its plan, its first task and its blocks.
_TURN, _PLAN, _FIRST, _BLOCKS, _DONE, _AWAKE, _YIELD, _WORDS = 0, 8, 9, 10, 16, 24, 32, 40
_COUNT_BITS = 22  # of a number of odd or even blocks


def _text(words: str) -> str:
    """C++ of the processor only; on a GPU nothing is shared between threads."""
    return "#if !defined(__CUDA_ARCH__)\n" + _SHARED + words + "\n#endif\n"


# The turn is the number of the stage, and how many of its odd and of its even blocks are taken. A thread owns a block once it has moved
# the turn on, which it can only if the stage is still the one that it read about: hence the turn is closed while the next stage is written
# down. Half of the threads take odd blocks while there are any, the others even ones: so that a block finds in its caches what the same
# block of the stage before, or of the last time, has left there.
_SHARED = f"""
const int the_turn = {_TURN}, the_plan = {_PLAN}, the_first = {_FIRST}, the_blocks = {_BLOCKS}, the_done = {_DONE};
const int the_awake = {_AWAKE}, the_yield = {_YIELD};
struct Task {{ void (*work)(void*, void*); unsigned int place, bytes, owners, blocks; }};  // without work: the end of a stage
// A task without blocks goes along with the one before: each owner of that is followed by its own, while what it did is in the cache.
struct Bounds {{ unsigned int shape; unsigned long long size, step; }};  // as Warp's kernels expect them
const auto work_on = [](const Task* task, const char* plan, unsigned long long block) {{
    while (block >= task->blocks) block -= (task++)->blocks;
    const unsigned int start = task->owners * block / task->blocks, stop = task->owners * (block + 1) / task->blocks;
    const Task* last = task + 1;
    while (last->work && last->blocks == 0) ++last;
    const unsigned int step = last > task + 1 ? 1 : stop - start;
    for (unsigned int first = start; first < stop; first += step) {{
        for (const Task* each = task; each < last; ++each) {{
            alignas(16) char own[{MOST_BYTES}];  // arguments of these owners: the first of them is the number of the first
            for (unsigned int n = 0; n < each->bytes; n += 8) *(long long*)(own + n) = *(const long long*)(plan + each->place + n);
            *(unsigned int*)own = first;
            Bounds bounds{{step, step, 1}};
            each->work(&bounds, own);
        }}
    }}
}};
const int count_bits = {_COUNT_BITS}, stage_bit = 2 * count_bits;
const unsigned long long most = (1ull << count_bits) - 1, closed = (1ull << stage_bit) - 1;
unsigned long long* const words = (unsigned long long*)crew;
const auto get = [&](int word) {{ return __atomic_load_n(words + word, __ATOMIC_SEQ_CST); }};
const auto set = [&](int word, unsigned long long value) {{ __atomic_store_n(words + word, value, __ATOMIC_SEQ_CST); }};
const auto take = [&](bool rather_odd) {{
    unsigned long long turn = get(the_turn);
    const char* plan = (const char*)get(the_plan);
    const Task* tasks = (const Task*)get(the_first);
    const unsigned long long even = 2 * (turn & most), odd = 2 * (turn >> count_bits & most) + 1, blocks = get(the_blocks);
    if (even >= blocks && odd >= blocks) return false;
    const bool take_odd = even >= blocks || (rather_odd && odd < blocks);
    const unsigned long long next = turn + (take_odd ? 1ull << count_bits : 1);
    if (!__atomic_compare_exchange_n(words + the_turn, &turn, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return true;
    work_on(tasks, plan, take_odd ? odd : even);
    __atomic_fetch_add(words + the_done, 1, __ATOMIC_SEQ_CST);
    return true;
}};
typedef int Yielding(void);
typedef Yielding* Yield;
const auto rest = [&](int looks) {{  // now and then for whoever waits for this processor: it may be the one who has the work
    if (looks % 64 == 0) ((Yield)get(the_yield))();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("isb");
#endif
}};
"""


# A plan is copied to where it is to be read, with the addresses of this time's segments.
_FILLING = f"""
struct Recipe {{ unsigned long long fills, bytes; }};
struct Fill {{ unsigned int place, segment; unsigned long long start, bytes; }};
if (recipe) {{
    const Recipe* const head = (const Recipe*)recipe;
    const Fill* const fills = (const Fill*)(head + 1);
    char* const to = (char*)plan;
    __builtin_memcpy(to, fills + head->fills, head->bytes);
    for (const Fill* fill = fills; fill < fills + head->fills; ++fill) {{
        char* const from = (char*)((const unsigned long long*)segments)[fill->segment] + fill->start;
        if (fill->place == {CLEARED}u) __builtin_memset(from, 0, fill->bytes);
        else if (fill->bytes) __builtin_memcpy(to + fill->place, from, fill->bytes);
        else *(char**)(to + fill->place) = from;
    }}
}}
"""


@wp.func_native(
    _text(_FILLING + """
const char* const start = (const char*)plan;
const Task* task = (const Task*)start;
for (const Task* const end = task + tasks; task < end; ++task) {
    const Task* const first = task;
    unsigned long long total = 0;
    for (; task->work; ++task) total += task->blocks;
    if (!words || total < 2 || total > most) {
        for (unsigned long long block = 0; block < total; ++block) work_on(first, start, block);
        continue;
    }
    const unsigned long long stage = (get(the_turn) >> stage_bit) + 1;
    set(the_turn, stage << stage_bit | closed);
    set(the_plan, (unsigned long long)start);
    set(the_first, (unsigned long long)first);
    set(the_blocks, total);
    set(the_done, 0);
    set(the_turn, stage << stage_bit);
    while (take(false)) {}
    for (int looks = 1; get(the_done) < total; ++looks) rest(looks);
}
""")
)
def lead(crew: wp.uint64, plan: wp.uint64, tasks: int, recipe: wp.uint64, segments: wp.uint64):
    """Works through a plan, stage by stage, together with whoever of the crew is awake; alone without a crew.

    With a ``recipe`` that one is copied there before, and filled in with the addresses of ``segments``.
    """
    ...


@wp.func_native(
    _text("""
__atomic_fetch_add(words + the_awake, 1, __ATOMIC_SEQ_CST);
for (int looks = 1; looks < patience; ++looks) {
    if (take(rather_odd)) looks = 0;
    else rest(looks);
}
__atomic_fetch_sub(words + the_awake, 1, __ATOMIC_SEQ_CST);
""")
)
def follow(crew: wp.uint64, patience: int, rather_odd: int):
    """Helps until there has been nothing to do for a while. Whoever leads would rather take even blocks."""
    ...


def _pause() -> int:
    """The address of the system's function that lets other threads run."""
    yielding = ctypes.windll.kernel32.SwitchToThread if sys.platform == "win32" else ctypes.CDLL(None).sched_yield
    return ctypes.cast(yielding, ctypes.c_void_p).value or 0


_processor: Callable[[], int] | None = getattr(ctypes.CDLL(None), "sched_getcpu", None) if sys.platform == "linux" else None


def _elsewhere() -> set[int]:
    """The processors that the asking thread may use and does not run on; none where the system does not tell."""
    return set() if _processor is None else os.sched_getaffinity(0) - {_processor()}


def _help(tokens: SimpleQueue[bool], words: ctypes.Array[ctypes.c_uint64], follow: Any, number: int) -> None:
    """What a helping thread does, until it is told to leave, and then tells the others."""
    while tokens.get():
        follow(ctypes.addressof(words), PATIENCE, 1 - number % 2)
    tokens.put(False)


class Crew:
    """An asking thread's helpers. They start when they are needed first, and leave with this object."""

    def __init__(self, threads: int, lead: Any, follow: Any) -> None:
        """``lead`` and ``follow`` are the functions above as kernels: called with their arguments they run on this thread."""
        self._lead, self._follow, self._threads = lead, follow, threads
        self._words = (ctypes.c_uint64 * _WORDS)()
        self._words[_YIELD] = _pause()
        self._tokens: SimpleQueue[bool] = SimpleQueue()
        self._hired: list[Thread] = []
        self._places: set[int] = set()  # processors that these may use; any where it is empty
        self._leading = Lock()
        weakref.finalize(self, self._tokens.put, False)

    def perform(self, place: int, tasks: int, threads: int, recipe: int = 0, segments: int = 0) -> None:
        """Works through the plan at an address; ``threads`` are worth being woken for it. With a recipe it is first made from that.

        One plan at a time is shared, others run on their own thread.
        """
        if self._threads < 2 or not self._leading.acquire(blocking=False):
            self._lead(0, place, tasks, recipe, segments)
            return
        try:
            helpers = min(threads, self._threads) - 1
            if helpers > self._words[_AWAKE]:
                self._wake(helpers)
            self._lead(ctypes.addressof(self._words), place, tasks, recipe, segments)
        finally:
            self._leading.release()

    def _wake(self, helpers: int) -> None:
        missing = helpers - self._words[_AWAKE] - self._tokens.qsize()
        if missing <= 0:
            return
        for number in range(len(self._hired), helpers):  # they hold no crew, which could not go while they wait
            arguments = self._tokens, self._words, self._follow, number
            self._hired.append(Thread(target=_help, args=arguments, name=f"crew {number}", daemon=True))
            self._hired[-1].start()
            self._places = set()
        self._keep_away()
        for _ in range(missing):
            self._tokens.put(True)

    def _keep_away(self) -> None:
        """Keeps helpers off the asking thread's processor: Linux likes to wake them there, and leaves others idle for milliseconds."""
        places = _elsewhere()
        if places and places != self._places:
            with suppress(OSError):  # not allowed: a slow pass now and then
                for helper in self._hired:
                    assert helper.native_id is not None  # it has started
                    os.sched_setaffinity(helper.native_id, places)
            self._places = places
