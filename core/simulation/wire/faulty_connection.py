"""A websocket client whose frames a fault plan may lose, hold, double, swap, freeze or swallow.

It does the damage at the moment a frame is queued, in the venue's time, so that the same plan and
the same requests give the same bytes. When and what strikes is the plan's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from core.model.ports import Clock
from core.simulation.wire.connections import Connection, FrameSink
from core.simulation.wire.faults import Fault, FaultPlan

_START = b'{"channel":"'
_AWAITED = frozenset({"error", "pong", "post", "subscriptionResponse"})
"""Channels that answer something the client said."""


class CallAt(Protocol):
    """Calls back at a moment of the venue's time."""

    def __call__(
        self, due_ns: int, callback: Callable[[], None], *, is_awaited: bool = False
    ) -> None:
        """Note a moment and what to do then."""
        ...


def channel_of(frame: bytes) -> str:
    """Return the channel of an encoded message; empty if it is plain text."""
    if not frame.startswith(_START):
        return ""
    return frame[len(_START) : frame.index(b'"', len(_START))].decode()


class FaultyConnection(Connection):
    """A connection under a fault plan.

    Parameters
    ----------
    sink : FrameSink
        The client's socket.
    clock : Clock
        The venue's clock.
    plan : callable
        Returns the plan in force.
    call_at : callable
        Calls back at a moment of the venue's time.
    """

    def __init__(
        self, sink: FrameSink, clock: Clock, *, plan: Callable[[], FaultPlan], call_at: CallAt
    ) -> None:
        super().__init__(sink, clock)
        self._venue_clock, self._plan, self._call_at = clock, plan, call_at
        self._held: dict[str, bytes] = {}
        self._frozen: dict[tuple[int, str, Any], bytes] = {}
        self._is_mute = False
        self.on_mute: Callable[[], object] = lambda: None

    def push(self, frame: bytes) -> None:
        """Queue one frame, unless the plan has other ideas."""
        if self._is_mute:
            return
        plan = self._plan()
        fault = None
        if plan.concerns("ws"):
            fault = plan.decide("ws", channel_of(frame), self._venue_clock.now_ns())
        if fault is not None:
            self._strike(fault, frame)
        elif self._held:
            self._push_with_held(frame)
        else:
            super().push(frame)

    def _strike(self, fault: Fault, frame: bytes) -> None:
        match fault.rule.fault:
            case "duplicate":
                self._push_with_held(frame)
                super().push(frame)
            case "delay":
                self._later(fault, frame, lambda: Connection.push(self, frame))
            case "reorder" if channel_of(frame) not in self._held:
                self._held[channel_of(frame)] = frame
                self._later(fault, frame, lambda: self._release(frame))
            case "reorder":
                self._push_with_held(frame)
            case "stale":
                self._push_with_held(self._first(fault, frame))
            case "mute":
                self._is_mute = True
                self._held.clear()
                self.on_mute()
            case _:
                assert fault.rule.fault == "drop", f"invariant: a fault of frames, was {fault}"

    def _push_with_held(self, frame: bytes) -> None:
        """Queue a frame, and after it the one of its channel that waited for it."""
        super().push(frame)
        held = self._held.pop(channel_of(frame), None)
        if held is not None:
            super().push(held)

    def _later(self, fault: Fault, frame: bytes, callback: Callable[[], None]) -> None:
        due_ns = self._venue_clock.now_ns() + fault.delay_ns
        self._call_at(due_ns, callback, is_awaited=channel_of(frame) in _AWAITED)

    def _release(self, frame: bytes) -> None:
        """Queue a frame whose successor has not come in time."""
        if self._held.get(channel_of(frame)) is frame:
            super().push(self._held.pop(channel_of(frame)))

    def _first(self, fault: Fault, frame: bytes) -> bytes:
        """Return the first frame of this stream that the rule has seen."""
        channel = channel_of(frame)
        data = msgspec.json.decode(frame)["data"]
        place = (data.get("coin"), data.get("user")) if isinstance(data, dict) else None
        return self._frozen.setdefault((id(fault.rule), channel, place), frame)
