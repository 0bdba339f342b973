"""Carry out an emergency: every action tried, in order, whatever fails, and written down.

One of the three supervisors: an action may fail in any way, and the next one must still run. Knows
nothing of what the actions do (usually: cancel all orders, close all positions).
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from core.model.ports import Clock
from core.model.time import utc_text
from core.utils.atomic import atomic_write
from core.utils.clock import SystemClock
from core.utils.logger import Logger
from core.utils.notification import LogNotifier, Notifier
from core.utils.redact import scrub

ACTION_SECONDS_MAX = 15.0
Action = tuple[str, Callable[[], Any]]
"""A name and something to call without arguments; it may return an awaitable."""


class ActionOutcome(msgspec.Struct, frozen=True):
    """What became of one action; ``detail`` is its result or its error."""

    name: str
    is_done: bool
    detail: str


class Incident(msgspec.Struct, frozen=True):
    """One emergency as it is written to disk. ``call_count`` says how often it was reported."""

    reason: str
    ts_ns: int
    time_utc: str
    actions: tuple[ActionOutcome, ...]
    context: dict[str, str]
    call_count: int
    path: str

    @property
    def is_handled(self) -> bool:
        """Whether every action was done."""
        return all(action.is_done for action in self.actions)


class EmergencyHandler:
    """Handle emergencies; constructible without arguments.

    Parameters
    ----------
    directory : Path
        Where ``incident-*.json`` files go.
    actions : sequence of Action
        Carried out in this order when a call names none of its own.
    action_seconds_max : float
        Time one awaitable action may take, in seconds of the world.
    """

    def __init__(
        self,
        directory: str | Path = "logs",
        actions: Sequence[Action] = (),
        *,
        clock: Clock | None = None,
        logger: Logger | None = None,
        notifier: Notifier | None = None,
        action_seconds_max: float = ACTION_SECONDS_MAX,
    ) -> None:
        self._directory = Path(directory)
        self._actions = tuple(actions)
        self._clock = clock or SystemClock()
        self._logger = logger or Logger("emergency")
        self._notifier = notifier or LogNotifier(self._logger)
        self._action_seconds_max = action_seconds_max
        self._incidents: dict[str, Incident] = {}
        # A lock belongs to one loop, and each call from ordinary code brings a loop of its own.
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            WeakKeyDictionary()
        )

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """All incidents so far, oldest first."""
        return tuple(self._incidents.values())

    def handle_emergency(
        self, reason: str, actions: Sequence[Action] | None = None, **context: Any
    ) -> Incident:
        """Carry out an emergency from ordinary code and wait until it is done.

        The same reason again repeats only the actions that failed, so calling twice does nothing
        twice. Inside a running event loop only actions that need no awaiting can be carried out;
        the others are reported as failed: await `handle_emergency_async` there.

        Parameters
        ----------
        reason : str
            Why, in plain words; identifies the incident.
        actions : sequence of Action, optional
            Instead of the handler's own.
        context
            Facts for the incident file.

        Returns
        -------
        Incident
            Never raises because of an action or of the disk; look at ``is_handled``.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.handle_emergency_async(reason, actions, **context))
        todo = self._todo(reason, actions)
        return self._close(reason, [self._run_at_once(action) for action in todo], context)

    async def handle_emergency_async(
        self, reason: str, actions: Sequence[Action] | None = None, **context: Any
    ) -> Incident:
        """Carry out an emergency inside an event loop; else as `handle_emergency`.

        Calls at the same time wait for one another.
        """
        turn = self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with turn:
            todo = self._todo(reason, actions)
            outcomes: list[ActionOutcome] = []
            try:
                for action in todo:
                    outcomes.append(await self._run(action))
            finally:  # a cancelled emergency is written down, too
                missed = [ActionOutcome(n, False, "not reached") for n, _ in todo[len(outcomes) :]]
                incident = self._close(reason, [*outcomes, *missed], context)
            return incident

    def reset(self, reason: str) -> None:
        """Forget an incident, so that the same reason counts as a new one."""
        self._incidents.pop(scrub(reason), None)

    def _todo(self, reason: str, actions: Sequence[Action] | None) -> list[Action]:
        wanted = self._actions if actions is None else tuple(actions)
        known = self._incidents.get(scrub(reason))
        done = {a.name for a in known.actions if a.is_done} if known else set()
        if known is None:
            self._logger.error("emergency", reason=reason, actions=", ".join(n for n, _ in wanted))
        return [action for action in wanted if action[0] not in done]

    async def _run(self, action: Action) -> ActionOutcome:
        name, call = action
        try:
            result = call()
            if inspect.isawaitable(result):
                result = await asyncio.wait_for(_awaited(result), self._action_seconds_max)
        except TimeoutError as error:
            detail = str(error) or f"not done within {self._action_seconds_max:g} s"
            return self._failed(name, detail)
        except Exception as error:  # supervisor: the next action must run whatever this one did
            return self._failed(name, f"{type(error).__name__}: {error}")
        return ActionOutcome(name, True, _result_text(result))

    def _run_at_once(self, action: Action) -> ActionOutcome:
        name, call = action
        try:
            result = call()
        except Exception as error:  # supervisor, as above
            return self._failed(name, f"{type(error).__name__}: {error}")
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            return self._failed(name, "needs awaiting; use handle_emergency_async in a loop")
        return ActionOutcome(name, True, _result_text(result))

    def _failed(self, name: str, detail: str) -> ActionOutcome:
        self._logger.error("emergency_action_failed", action=name, detail=detail)
        return ActionOutcome(name, False, scrub(detail))

    def _close(
        self, reason: str, outcomes: Sequence[ActionOutcome], context: dict[str, Any]
    ) -> Incident:
        """Merge with what is known, write the file, tell a person once."""
        reason = scrub(reason)
        known = self._incidents.get(reason)
        merged = {a.name: a for a in known.actions} if known else {}
        merged.update({a.name: a for a in outcomes})
        ts_ns = known.ts_ns if known else self._clock.now_ns()
        facts = {
            **(known.context if known else {}),
            **{k: scrub(str(v)) for k, v in context.items()},
        }
        incident = Incident(
            reason=reason,
            ts_ns=ts_ns,
            time_utc=utc_text(ts_ns),
            actions=tuple(merged.values()),
            context=facts,
            call_count=known.call_count + 1 if known else 1,
            path=known.path if known and known.path else str(self._path(reason, ts_ns)),
        )
        incident = self._written(incident)
        self._incidents[reason] = incident
        if known is None or known.is_handled != incident.is_handled:
            done = sum(a.is_done for a in incident.actions)
            self._notifier.notify(
                "error", "emergency", f"{reason}: {done} of {len(incident.actions)} actions done"
            )
        return incident

    def _written(self, incident: Incident) -> Incident:
        """Write the incident file; on a broken disk the incident stays in memory and in the log."""
        try:
            body = msgspec.json.format(msgspec.json.encode(incident), indent=2)
            atomic_write(Path(incident.path), body + b"\n")
        except OSError as error:
            self._logger.error("incident_file_failed", path=incident.path, detail=str(error))
            return msgspec.structs.replace(incident, path="")
        return incident

    def _path(self, reason: str, ts_ns: int) -> Path:
        stamp = utc_text(ts_ns).replace("-", "").replace(":", "").replace(" ", "T")
        slug = re.sub(r"[^a-z0-9]+", "-", reason.lower()).strip("-")[:40] or "unnamed"
        path = self._directory / f"incident-{stamp}-{slug}.json"
        count = 1
        while path.exists():
            count += 1
            path = self._directory / f"incident-{stamp}-{slug}-{count}.json"
        return path


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _result_text(result: Any) -> str:
    return "" if result is None else scrub(str(result))[:500]
