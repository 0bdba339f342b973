"""The seams of the house: what the rooms need from one another, as Protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from core.model.commands import Command
from core.model.events import AnyEvent, Event
from core.model.intents import Intent
from core.model.market import MarketView
from core.model.settings import RegimeFit
from core.model.step import Step


class Clock(Protocol):
    """The one clock of a session; accelerated venues bring an accelerated clock."""

    def now_ns(self) -> int:
        """Return the time in nanoseconds since the epoch, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds`` of this clock's time."""
        ...


class Strategy(Protocol):
    """A pure decision: the same view and parameters give the same wishes."""

    @property
    def name(self) -> str:
        """Key in the configuration and in every attribution."""
        ...

    @property
    def warm_up_count(self) -> int:
        """Closed candles needed before the first decision, with default parameters."""
        ...

    @property
    def regime_fit(self) -> RegimeFit:
        """How well the idea suits each regime, 0 to 1; a regime not named fits 0."""
        ...

    def run(
        self, data: MarketView | Mapping[str, Any], params: Mapping[str, Any] | None = None
    ) -> list[Intent]:
        """Return the wishes for one coin; an empty list means no change."""
        ...


class Emit(Protocol):
    """Where the edge puts what it saw: the inbox of a session."""

    def __call__(self, event: Event) -> None:
        """Take one event that has no ``seq`` yet."""
        ...


class Outbox(Protocol):
    """Where a session puts commands; answers come back as events, never as return values."""

    def send(self, commands: Sequence[Command]) -> None:
        """Take commands in order; must not block."""
        ...


class JournalSink(Protocol):
    """The truth on disk. ``append`` before handling, ``commit`` before any command leaves."""

    def append(self, event: AnyEvent) -> None:
        """Add one event that has its ``seq``."""
        ...

    def record(self, step: Step) -> None:
        """Add what followed from the event."""
        ...

    def checkpoint(self, seq: int, state_hash: str) -> None:
        """Note the engine's state hash after event ``seq``, for replay to compare."""
        ...

    def commit(self) -> None:
        """Make everything so far durable."""
        ...

    def close(self) -> None:
        """Commit and release the file."""
        ...


class SnapshotSink(Protocol):
    """Where a session puts copies of the engine's state, so that a restart replays little."""

    def save(self, seq: int, packed: bytes) -> None:
        """Keep the state after event ``seq``; the journal holds that event durably already."""
        ...

    def close(self) -> None:
        """Wait until everything is kept."""
        ...
