"""Taking turns: every peer's passes are spread over the same minutes, so that a machine's moods hit all of them."""

from __future__ import annotations

import gc
from statistics import median
from time import perf_counter, sleep

import torch

from .peers import Pass, Peer
from .problem import Case, make

ROUNDS = 5
TURN_S = 0.2  # a turn is one pass, or as many as fit into this time
TURN_PASSES = 10
PAUSE_S = 0.02  # between turns, so that the threads of another peer no longer look for work
PEER_S = 8.0  # a peer that has used up this time in a case sits out the remaining rounds


def turn(run: Pass) -> list[float]:
    """Seconds of each pass of a turn. The first finds the caches full of another peer's data and counts only where it is alone."""
    seconds: list[float] = []
    while not seconds or (sum(seconds) < TURN_S and len(seconds) < TURN_PASSES):
        start = perf_counter()
        run()
        seconds.append(perf_counter() - start)
    return seconds[1:] or seconds


def measure(case: Case, peers: list[Peer], device: str, rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of a forward and backward pass for each peer that takes this case."""
    problem = make(case)
    runs = {peer: peer.prepare(problem, device) for peer in peers if peer.takes(case, device)}
    seconds: dict[Peer, list[float]] = {peer: [] for peer in runs}
    for peer, run in runs.items():
        if peer.compiles:
            torch.set_num_threads(peer.threads)
            run()
    for _ in range(rounds):
        for peer, run in runs.items():
            if sum(seconds[peer]) < PEER_S:
                torch.set_num_threads(peer.threads)
                sleep(PAUSE_S)
                seconds[peer] += turn(run)
    runs.clear()
    gc.collect()
    return {peer.name: median(values) for peer, values in seconds.items()}
