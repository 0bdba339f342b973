"""Who moves the venue's time when it does not run with the world's: a person, a request, or speed.

Time moves from one due moment to the next, never past one, so what clients see depends on what
they asked and in which order, not on how fast anything computed. Between moments clients get to
read: time waits for a slow reader instead of drowning him. It knows neither market nor protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from core.simulation.wire.pump import NEVER_NS
from core.simulation.wire.time_mode import TimeMode
from core.utils.clock import ManualClock

MOMENTS_PER_BREATH = 64
CROWD_POLL_SECONDS = 0.001
CROWD_POLLS_MAX = 5_000
"""After some five seconds of the world a reader who takes nothing is left to his queue's limit."""


class Stepped(Protocol):
    """What is stepped through time: the pump."""

    @property
    def next_ns(self) -> int:
        """The next moment at which something is due."""
        ...

    def step(self) -> bool:
        """Do what is due now; true if more is due now than was done."""
        ...


class TimeDriver:
    """Moves a clock and steps the pump through every moment on the way.

    Parameters
    ----------
    clock : ManualClock
        The venue's clock; nobody else moves it.
    pump : Stepped
        Has things due.
    mode : TimeMode
        Any but `TimeMode.RUNNING`.
    is_crowded : callable
        Whether a client has much to read.
    """

    def __init__(
        self,
        clock: ManualClock,
        pump: Stepped,
        mode: TimeMode,
        is_crowded: Callable[[], bool],
    ) -> None:
        assert mode is not TimeMode.RUNNING, "invariant: a running clock has no driver"
        self._clock, self._pump, self._mode = clock, pump, mode
        self._is_crowded = is_crowded
        self._moving = asyncio.Lock()
        self._wanted_ns = -1
        self._news = asyncio.Event()
        self._has_begun = asyncio.Event()
        self._moments = 0

    @property
    def mode(self) -> TimeMode:
        """How time moves here."""
        return self._mode

    def wake_at(self, due_ns: int) -> None:
        """Hear that a client waits for a moment."""
        self._wanted_ns = max(self._wanted_ns, due_ns)
        self._news.set()

    def begin(self) -> None:
        """Hear that a client has asked for something."""
        self._has_begun.set()

    async def move_to(self, target_ns: int) -> int:
        """Move time forward to a moment, through all that is due before; return the new time."""
        async with self._moving:
            while (due_ns := self._next_ns()) <= target_ns:
                await self._move_one(due_ns)
            await self._clock.advance_to(target_ns)
            self._pump.step()
            await self._breathe()
        return self._clock.now_ns()

    async def run(self) -> None:
        """Move time by itself as the mode says, until cancelled."""
        if self._mode is TimeMode.MAX:
            await self._has_begun.wait()
            while True:
                await self._run_on()
        while True:
            await self._news.wait()
            self._news.clear()
            if self._mode is TimeMode.ON_REQUEST:
                await self.move_to(self._wanted_ns)

    async def _run_on(self) -> None:
        self._news.clear()
        due_ns = self._next_ns()
        if due_ns >= NEVER_NS:
            await self._news.wait()
            return
        async with self._moving:
            await self._move_one(due_ns)

    def _next_ns(self) -> int:
        sleeper_ns = self._clock.next_deadline_ns
        return min(self._pump.next_ns, NEVER_NS if sleeper_ns is None else sleeper_ns)

    async def _move_one(self, due_ns: int) -> None:
        sleeper_ns = self._clock.next_deadline_ns
        if sleeper_ns is not None and sleeper_ns <= due_ns:
            await self._clock.advance_to(due_ns)
        else:
            self._clock.jump_to(due_ns)
        while self._pump.step():
            await asyncio.sleep(0)
        self._moments += 1
        if self._moments % MOMENTS_PER_BREATH == 0:
            await self._breathe()

    async def _breathe(self) -> None:
        """Let clients read and answer."""
        await asyncio.sleep(0)
        for _ in range(CROWD_POLLS_MAX):
            if not self._is_crowded():
                return
            await asyncio.sleep(CROWD_POLL_SECONDS)
