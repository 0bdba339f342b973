"""What falls due as venue time passes, and in which order.

Funding, premium samples, dead-man switches and TWAP slices are duties; the agenda asks each when
it is due next and does them one moment at a time. It knows none of them by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.simulation.venue.controls import fire_scheduled_cancels
from core.simulation.venue.state import VenueState


class Duty(Protocol):
    """Something the venue does by itself when its time comes."""

    @property
    def due_ns(self) -> int | None:
        """Next moment, ``None`` while there is nothing to do."""
        ...

    def fire(self, quiet_ns: int) -> None:
        """Do what is due at venue time; afterwards ``due_ns`` lies later.

        Parameters
        ----------
        quiet_ns : int
            Nothing else happens up to and including this moment, so a duty whose outcome does
            not change by waiting may do all its moments until then at once.
        """
        ...


class Agenda:
    """Duties in order of precedence for equal moments."""

    def __init__(self, state: VenueState, duties: Sequence[Duty]) -> None:
        self._state = state
        self._duties = tuple(duties)

    def advance(self, now_ns: int) -> None:
        """Move venue time to ``now_ns``, doing what falls due; never backwards."""
        state = self._state
        while True:
            first: Duty | None = None
            first_ns = now_ns + 1
            next_ns = now_ns + 1
            for duty in self._duties:
                due_ns = duty.due_ns
                if due_ns is None or due_ns >= next_ns:
                    continue
                if due_ns < first_ns:
                    first, first_ns, next_ns = duty, due_ns, first_ns
                else:
                    next_ns = due_ns
            if first is None:
                break
            state.now_ns = max(state.now_ns, first_ns)
            first.fire(next_ns - 1)
        state.now_ns = max(state.now_ns, now_ns)


class ScheduledCancels:
    """The accounts' dead-man switches."""

    def __init__(self, state: VenueState) -> None:
        self._state = state

    @property
    def due_ns(self) -> int | None:
        """When the next switch fires."""
        return self._state.cancel_next_ns

    def fire(self, quiet_ns: int) -> None:
        """Cancel the orders of every account whose switch is due."""
        fire_scheduled_cancels(self._state)
