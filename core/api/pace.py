"""Waiting: times that make sense on an accelerated clock, and tasks that do not fail unseen.

A venue clock may run a thousand times faster than the world, but the network and this process
do not. Time-outs are therefore given in seconds of the clock with a floor in seconds of the world.
"""

from __future__ import annotations

import asyncio
from typing import Any

from core.model.ports import Clock


def at_least_wall(clock: Clock, seconds: float, wall_seconds: float) -> float:
    """Return seconds of ``clock`` that last ``seconds``, and ``wall_seconds`` of the world.

    A clock without a ``speed`` runs with the world.
    """
    speed = float(getattr(clock, "speed", 1.0))
    return max(seconds, wall_seconds * speed)


async def is_done_within(clock: Clock, seconds: float, waiter: asyncio.Future[Any]) -> bool:
    """Wait for ``waiter`` for at most ``seconds`` of ``clock``; it is left running if it is late.

    Returns
    -------
    bool
        Whether ``waiter`` is done, by result, error or cancellation.
    """
    patience = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((waiter, patience), return_when=asyncio.FIRST_COMPLETED)
    finally:
        patience.cancel()
    return waiter.done()


def report_failure(task: asyncio.Task[Any]) -> None:
    """Hand a task's error to the event loop's handler; a done callback for tasks nobody awaits."""
    if task.cancelled() or task.exception() is None:
        return
    task.get_loop().call_exception_handler(
        {"message": f"task {task.get_name()} failed", "exception": task.exception(), "task": task}
    )
