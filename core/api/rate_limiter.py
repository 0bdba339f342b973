"""The request budget: how much may leave in any minute, and who goes first when it is short.

The venue counts weight per IP address and minute. This limiter keeps the sum of every rolling
minute under that, and keeps a reserve that only cancels and emergencies may touch, so that reads
can never use up what is needed to get out. It does no I/O and sees no answers.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
from collections import deque
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import ParamSpec, TypeVar

from core.api.limits import (
    ACTION_WEIGHT_BASE,
    ACTION_WEIGHT_ITEMS,
    ADDRESS_REQUESTS_BASE,
    INFO_ROWS_PER_WEIGHT,
    INFO_WEIGHT_DEFAULT,
    INFO_WEIGHTS,
    IP_WEIGHT_PER_MINUTE,
)
from core.model.errors import VenueError
from core.model.ports import Clock
from core.model.time import NS_PER_MIN, NS_PER_S

WAITERS_MAX = 10_000

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Lane(IntEnum):
    """Who goes first; a smaller number is more urgent."""

    EMERGENCY = 0
    CANCEL = 1
    REDUCE = 2
    ORDER = 3
    READ = 4


def request_weight(kind: str, count: int = 0) -> int:
    """Return the IP weight of a request before its answer is known.

    Parameters
    ----------
    kind : str
        Type of a read, or ``"exchange"`` for any action.
    count : int
        Orders, cancels or modifies in an action; ignored for reads.
    """
    if kind == "exchange":
        return ACTION_WEIGHT_BASE + count // ACTION_WEIGHT_ITEMS
    return INFO_WEIGHTS.get(kind, INFO_WEIGHT_DEFAULT)


def answer_weight(kind: str, row_count: int) -> int:
    """Return the further weight of a read that answered with ``row_count`` rows."""
    rows_per_weight = INFO_ROWS_PER_WEIGHT.get(kind)
    return row_count // rows_per_weight if rows_per_weight else 0


class AddressBudget:
    """Requests an address has used of those its traded volume allows.

    Source: venue documentation, user limits: 10 000, and one more per USDC traded. A batch of n
    counts n.
    """

    def __init__(self) -> None:
        self.used = 0
        self.cap = ADDRESS_REQUESTS_BASE

    @property
    def left(self) -> int:
        """Requests that remain, 0 or more."""
        return max(0, self.cap - self.used)

    def note(self, count: int) -> None:
        """Count ``count`` items of an action that was sent."""
        self.used += count

    def learn(self, *, used: int, cap: int) -> None:
        """Take over what the venue reports."""
        self.used, self.cap = used, cap


class RateLimiter:
    """Hand out request weight in order of urgency, never more than allowed in a rolling minute.

    Parameters
    ----------
    clock : Clock
        Whose minutes count.
    ip_weight_per_minute : int
        The venue's allowance, above 0.
    reserve_ratio : float
        Share of it that only `Lane.EMERGENCY` and `Lane.CANCEL` may use, from 0 to below 1.
    requests_per_minute_max : int
        Own cap on the number of requests, 0 for none; the same reserve is kept of it, and
        emergencies are exempt.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        ip_weight_per_minute: int = IP_WEIGHT_PER_MINUTE,
        reserve_ratio: float = 0.1,
        requests_per_minute_max: int = 0,
    ) -> None:
        if ip_weight_per_minute <= 0 or not 0.0 <= reserve_ratio < 1.0:
            raise ValueError(
                "rate limit should be above 0 with a reserve from 0 to below 1, "
                f"was {ip_weight_per_minute} with {reserve_ratio}"
            )
        self._clock = clock
        self._cap = ip_weight_per_minute
        self._cap_ordinary = ip_weight_per_minute - int(ip_weight_per_minute * reserve_ratio)
        self._requests_max = requests_per_minute_max
        self._requests_max_ordinary = requests_per_minute_max - int(
            requests_per_minute_max * reserve_ratio
        )
        self._spent: deque[tuple[int, int, int]] = deque()  # time, weight, requests (0 or 1)
        self._weight_used = 0
        self._requests_used = 0
        self._blocked_until_ns = 0
        self._waiters: list[tuple[Lane, int, int, asyncio.Future[None]]] = []
        self._arrivals = 0
        self._pump: asyncio.Task[None] | None = None

    @property
    def ip_weight_used(self) -> int:
        """Weight used in the last minute."""
        self._forget()
        return self._weight_used

    @property
    def ip_weight_cap(self) -> int:
        """Weight allowed in a minute."""
        return self._cap

    @property
    def waiting_count(self) -> int:
        """Requests that wait for weight."""
        return sum(1 for *_, future in self._waiters if not future.done())

    async def acquire(self, weight: int, lane: Lane) -> None:
        """Wait until ``weight`` may be used; more urgent lanes are served first.

        Raises
        ------
        ValueError
            If the weight could never fit the lane's allowance.
        VenueError
            If too many requests wait already.
        """
        if not 0 < weight <= self._cap_of(lane):
            raise ValueError(
                f"request weight should be 1 to {self._cap_of(lane)} in lane {lane.name}, "
                f"was {weight}"
            )
        self._drop_cancelled()
        if (not self._waiters or lane < self._waiters[0][0]) and self._fits(weight, lane):
            self._spend(weight, requests=1)
            return
        if len(self._waiters) >= WAITERS_MAX:
            raise VenueError(
                f"at most {WAITERS_MAX} requests may wait for the rate limit; slow down"
            )
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._waiters, (lane, self._arrivals, weight, future))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._serve())
        await future

    def charge(self, weight: int) -> None:
        """Count weight that an answer has already cost."""
        if weight > 0:
            self._spend(weight, requests=0)

    def block(self, seconds: float) -> None:
        """Let nothing but emergencies out for ``seconds``: the venue said 429."""
        until_ns = self._clock.now_ns() + int(seconds * NS_PER_S)
        self._blocked_until_ns = max(self._blocked_until_ns, until_ns)

    def limited(
        self, weight: int, lane: Lane
    ) -> Callable[[Callable[_P, Awaitable[_R]]], Callable[_P, Awaitable[_R]]]:
        """Decorate a coroutine function so that each call first acquires ``weight``."""

        def decorate(call: Callable[_P, Awaitable[_R]]) -> Callable[_P, Awaitable[_R]]:
            @functools.wraps(call)
            async def limited_call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
                await self.acquire(weight, lane)
                return await call(*args, **kwargs)

            return limited_call

        return decorate

    def _cap_of(self, lane: Lane) -> int:
        return self._cap if lane <= Lane.CANCEL else self._cap_ordinary

    def _fits(self, weight: int, lane: Lane) -> bool:
        self._forget()
        if self._weight_used + weight > self._cap_of(lane):
            return False
        if lane is Lane.EMERGENCY:
            return True
        if self._clock.now_ns() < self._blocked_until_ns:
            return False
        urgent = lane <= Lane.CANCEL
        requests_max = self._requests_max if urgent else self._requests_max_ordinary
        return not self._requests_max or self._requests_used < requests_max

    def _spend(self, weight: int, *, requests: int) -> None:
        self._spent.append((self._clock.now_ns(), weight, requests))
        self._weight_used += weight
        self._requests_used += requests

    def _forget(self) -> None:
        """Drop what is a minute old or older."""
        horizon_ns = self._clock.now_ns() - NS_PER_MIN
        while self._spent and self._spent[0][0] <= horizon_ns:
            _, weight, requests = self._spent.popleft()
            self._weight_used -= weight
            self._requests_used -= requests

    def _drop_cancelled(self) -> None:
        while self._waiters and self._waiters[0][3].done():
            heapq.heappop(self._waiters)

    async def _serve(self) -> None:
        """Serve waiters, most urgent first, as old weight expires."""
        while True:
            self._drop_cancelled()
            if not self._waiters:
                return
            lane, _, weight, future = self._waiters[0]
            if self._fits(weight, lane):
                heapq.heappop(self._waiters)
                self._spend(weight, requests=1)
                future.set_result(None)
            else:
                await self._clock.sleep(self._seconds_until_change())

    def _seconds_until_change(self) -> float:
        """Return when the allowance next changes, so that a newly urgent head is seen in time."""
        now_ns = self._clock.now_ns()
        moments = [self._spent[0][0] + NS_PER_MIN] if self._spent else []
        if self._blocked_until_ns > now_ns:
            moments.append(self._blocked_until_ns)
        assert moments, "invariant: something expires while a request waits"
        return max(min(moments) - now_ns, 1_000) / NS_PER_S
