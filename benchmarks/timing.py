"""Interleaved rounds: each contestant in turn, round after round, so that drift hits all alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence

import msgspec

ROUNDS = 9


class Contestant(msgspec.Struct, frozen=True):
    """One thing to time: ``work`` is called ``count`` times per round."""

    name: str
    work: Callable[[], object]
    count: int


class Timing(msgspec.Struct, frozen=True):
    """Seconds per call: median, fastest and slowest round."""

    name: str
    median_s: float
    min_s: float
    max_s: float
    count: int


def race(contestants: Sequence[Contestant], *, rounds: int = ROUNDS) -> list[Timing]:
    """Time all contestants in interleaved rounds after one warm-up each."""
    samples: dict[str, list[float]] = {c.name: [] for c in contestants}
    for contestant in contestants:
        _round(contestant)
    for _ in range(rounds):
        for contestant in contestants:
            samples[contestant.name].append(_round(contestant))
    return [
        Timing(c.name, statistics.median(s), min(s), max(s), c.count * rounds)
        for c in contestants
        for s in [samples[c.name]]
    ]


def _round(contestant: Contestant) -> float:
    work = contestant.work
    gc.collect()
    gc.disable()
    started = time.perf_counter()
    for _ in range(contestant.count):
        work()
    spent = time.perf_counter() - started
    gc.enable()
    return spent / contestant.count
