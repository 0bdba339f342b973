"""An event loop in which time is a number: sleeping costs nothing and always lasts exactly as long.

Everything that awaits runs on it unmodified. Nothing may wait for a socket or a thread: a loop
with nothing to do says so instead of waiting for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from core.model.time import NS_PER_S

T = TypeVar("T")


class Deadlock(AssertionError):
    """Everybody waits and nobody will come."""


class _Selector:
    """Stands where a real loop asks the operating system; here waiting moves time on."""

    def __init__(self) -> None:
        self.now = 0.0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("every task waits for something that nobody will do")
        self.now += max(0.0, timeout)
        return []

    def close(self) -> None:
        return None


class VirtualLoop(asyncio.BaseEventLoop):
    """The event loop of one simulated world."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Selector()
        self._clock_resolution = 1e-9
        self.broken: list[BaseException] = []
        self.set_exception_handler(self._remember)

    def time(self) -> float:
        return self._selector.now

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list

    def _write_to_self(self) -> None:
        """Nothing outside this thread ever wakes the loop."""

    def _remember(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or AssertionError(context["message"])
        self.broken.append(error)


class LoopClock:
    """The world's clock: the loop's time since ``start_ns``."""

    def __init__(self, loop: VirtualLoop, start_ns: int) -> None:
        self._loop = loop
        self._start_ns = start_ns

    def now_ns(self) -> int:
        return self._start_ns + round(self._loop.time() * NS_PER_S)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def run(loop: VirtualLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run to the end of ``main``; what broke in a task nobody awaited is raised as well."""
    asyncio.set_event_loop(loop)
    try:
        result = loop.run_until_complete(main)
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    if loop.broken:
        raise loop.broken[0]
    return result
