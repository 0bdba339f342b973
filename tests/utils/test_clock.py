"""Clocks: exact, never early, deterministic when moved by hand."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.ports import Clock
from core.model.time import NS_PER_S
from core.utils.clock import ManualClock, ScaledClock, SystemClock

START_NS = 1_746_403_200 * NS_PER_S


class World:
    """A stopwatch and a way to wait that share one time; may wake early, as kernels may."""

    def __init__(self, *, early_ns: int = 0) -> None:
        self.ns = 50 * NS_PER_S
        self.early_ns = early_ns
        self.waits: list[float] = []

    def monotonic_ns(self) -> int:
        return self.ns

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.ns += max(1, round(seconds * NS_PER_S) - self.early_ns)
        self.early_ns = 0
        assert len(self.waits) < 10


def scaled(world: World, speed: float) -> ScaledClock:
    return ScaledClock(START_NS, speed, world.ns, monotonic_ns=world.monotonic_ns, wait=world.wait)


def test_all_clocks_are_clocks() -> None:
    clocks: list[Clock] = [SystemClock(), ManualClock(), ScaledClock(0, 1.0, 0)]
    assert all(isinstance(c.now_ns(), int) for c in clocks)


@given(
    elapsed_ns=st.integers(0, 10**15),
    speed=st.sampled_from([1.0, 0.1, 60.0, 1440.0, 1 / 3]),
)
def test_scaled_time_is_exact(elapsed_ns: int, speed: float) -> None:
    world = World()
    clock = scaled(world, speed)
    world.ns += elapsed_ns
    numerator, denominator = speed.as_integer_ratio()
    assert clock.now_ns() - START_NS == elapsed_ns * numerator // denominator


def test_two_processes_with_one_anchor_read_one_time() -> None:
    world = World()
    mine, yours = scaled(world, 1440.0), scaled(world, 1440.0)
    world.ns += 1_234_567
    assert mine.now_ns() == yours.now_ns() == START_NS + 1_234_567 * 1440


@pytest.mark.parametrize("early_ns", [0, 1, 900_000])
async def test_scaled_sleep_divides_by_speed_and_never_returns_early(early_ns: int) -> None:
    world = World(early_ns=early_ns)
    clock = scaled(world, 1440.0)
    await clock.sleep(60.0)
    assert world.waits[0] == 60.0 / 1440.0
    assert clock.now_ns() >= START_NS + 60 * NS_PER_S


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_speeds_are_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        ScaledClock(0, speed, 0)


async def test_manual_sleepers_wake_at_their_deadlines_in_order() -> None:
    clock = ManualClock(START_NS)
    seen: list[tuple[str, int]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        seen.append((name, (clock.now_ns() - START_NS) // NS_PER_S))

    tasks = [
        asyncio.create_task(sleeper(name, seconds))
        for name, seconds in (("late", 3.0), ("tie-1", 2.0), ("tie-2", 2.0), ("never", 99.0))
    ]
    await clock.advance(10.0)
    assert seen == [("tie-1", 2), ("tie-2", 2), ("late", 3)]
    assert clock.now_ns() == START_NS + 10 * NS_PER_S
    assert clock.sleeper_count == 1
    tasks[-1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert clock.sleeper_count == 0


async def test_a_loop_that_sleeps_again_runs_every_time_within_one_advance() -> None:
    clock = ManualClock()
    ticks: list[int] = []

    async def ticker() -> None:
        while True:
            await clock.sleep(1.0)
            ticks.append(clock.now_ns() // NS_PER_S)

    task = asyncio.create_task(ticker())
    await clock.advance(5.0)
    task.cancel()
    assert ticks == [1, 2, 3, 4, 5]


async def test_jump_passes_deadlines_without_stopping_at_them() -> None:
    clock = ManualClock()
    seen: list[int] = []

    async def sleeper() -> None:
        await clock.sleep(1.0)
        seen.append(clock.now_ns())

    task = asyncio.create_task(sleeper())
    await asyncio.sleep(0)
    clock.jump(7.0)
    await task
    assert seen == [7 * NS_PER_S]


async def test_sleeping_for_nothing_only_yields() -> None:
    clock = ManualClock(5)
    await clock.sleep(0.0)
    await clock.sleep(-1.0)
    assert clock.now_ns() == 5


async def test_manual_time_never_goes_back() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="forward only"):
        await clock.advance(-1.0)
    with pytest.raises(ValueError, match="forward only"):
        clock.jump(-1.0)
