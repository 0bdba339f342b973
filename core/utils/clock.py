"""The clocks of a session: real time, accelerated time, and time that a test moves by hand.

All satisfy `core.model.ports.Clock`. Whoever measures or waits asks the session's clock, so that
time-outs, nonces and expiries stay in proportion when a venue runs faster than the world. This
module knows nothing of what the time is used for.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable

from core.model.time import NS_PER_S, ns_from_seconds

_SETTLE_TURNS = 32
_SLEEPERS_MAX = 100_000


class SystemClock:
    """The world's time."""

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch, UTC."""
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
        await asyncio.sleep(seconds)


class ScaledClock:
    """Time that runs ``speed`` times as fast as the world's, from a shared anchor.

    Two processes on one machine that build it from the same three numbers read the same time,
    because Linux counts monotonic time for the whole machine.

    Parameters
    ----------
    start_ns : int
        This clock's time at the anchor, nanoseconds since the epoch.
    speed : float
        Seconds of this clock per second of the world, above 0.
    anchor_monotonic_ns : int
        ``time.monotonic_ns()`` at which this clock reads ``start_ns``.
    monotonic_ns : callable
        The world's stopwatch.
    wait : callable
        How to wait for seconds of the world.
    """

    def __init__(
        self,
        start_ns: int,
        speed: float,
        anchor_monotonic_ns: int,
        *,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not 0.0 < speed < float("inf"):
            raise ValueError(f"speed of a clock should be finite and above 0, was {speed!r}")
        self.start_ns = start_ns
        self.speed = speed
        self.anchor_monotonic_ns = anchor_monotonic_ns
        self._monotonic_ns = monotonic_ns
        self._wait = wait
        # An exact ratio: a float product would lose nanoseconds after a few hours.
        self._numerator, self._denominator = float(speed).as_integer_ratio()

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch on this clock."""
        elapsed_ns = self._monotonic_ns() - self.anchor_monotonic_ns
        return self.start_ns + elapsed_ns * self._numerator // self._denominator

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds`` of this clock; never returns early."""
        deadline_ns = self.now_ns() + ns_from_seconds(seconds)
        await self._wait(max(0.0, seconds) / self.speed)
        while (left_ns := deadline_ns - self.now_ns()) > 0:
            await self._wait(left_ns / NS_PER_S / self.speed)


class ManualClock:
    """Time that stands still until it is moved; sleepers wake in the order of their deadlines.

    Parameters
    ----------
    start_ns : int
        First time shown, nanoseconds since the epoch.
    """

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns
        self._order = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    @property
    def sleeper_count(self) -> int:
        """How many tasks wait for this clock."""
        return sum(1 for _, _, future in self._sleepers if not future.done())

    @property
    def next_deadline_ns(self) -> int | None:
        """When the next task that waits for this clock wakes; ``None`` if nobody waits."""
        sleepers = self._sleepers
        while sleepers and sleepers[0][2].done():
            heapq.heappop(sleepers)
        return sleepers[0][0] if sleepers else None

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch on this clock."""
        return self._now_ns

    async def sleep(self, seconds: float) -> None:
        """Wait until this clock has been moved by ``seconds``."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        assert len(self._sleepers) < _SLEEPERS_MAX, "invariant: sleepers of a clock are bounded"
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        deadline_ns = self._now_ns + ns_from_seconds(seconds)
        self._order += 1
        heapq.heappush(self._sleepers, (deadline_ns, self._order, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move time forward and let everything due meanwhile happen, one sleeper at a time.

        Each sleeper wakes while the clock shows its deadline, runs until it waits again, and may
        sleep and wake several times within one call. Ties wake in the order they went to sleep.
        """
        await self.advance_to(self._target_ns(seconds))

    async def advance_to(self, target_ns: int) -> None:
        """Move time forward to a moment as `advance` does; an earlier moment changes nothing."""
        target_ns = max(target_ns, self._now_ns)
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= target_ns:
            self._wake_first()
            await _settle()
        self._now_ns = target_ns
        await _settle()

    def jump(self, seconds: float) -> None:
        """Move time forward at once, without a running loop; sleepers passed over become due.

        They wake in order of their deadlines, all seeing the new time, as after a suspended laptop.
        """
        self.jump_to(self._target_ns(seconds))

    def jump_to(self, target_ns: int) -> None:
        """Move time forward to a moment as `jump` does; an earlier moment changes nothing."""
        target_ns = max(target_ns, self._now_ns)
        while self._sleepers and self._sleepers[0][0] <= target_ns:
            self._wake_first()
        self._now_ns = target_ns

    def _target_ns(self, seconds: float) -> int:
        if seconds < 0:
            raise ValueError(f"a clock moves forward only, was asked to move {seconds!r} s")
        return self._now_ns + ns_from_seconds(seconds)

    def _wake_first(self) -> None:
        deadline_ns, _, future = heapq.heappop(self._sleepers)
        if not future.done():
            self._now_ns = max(self._now_ns, deadline_ns)
            future.set_result(None)


async def _settle() -> None:
    """Give every task that is ready a bounded number of turns."""
    for _ in range(_SETTLE_TURNS):
        await asyncio.sleep(0)
