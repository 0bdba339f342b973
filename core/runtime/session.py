"""One running system: inbox, journal, engine, outbox, in that order for every event.

A session owns the only place where an event becomes a step. It is synchronous on purpose: bytes
in, journal, decide, journal, commands out, with no await between, so nothing can interleave.
Where events come from and where commands go is plugged in by `compose`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from core.engines.trading_engine import TradingEngine
from core.model.account import EquityPoint
from core.model.codes import OperatorAction
from core.model.commands import CancelOrder
from core.model.errors import JournalError
from core.model.events import AnyEvent, Event, OperatorCommanded, SessionEnded
from core.model.ports import Clock, JournalSink, Outbox
from core.model.status import SystemStatus
from core.model.step import Step

CHECKPOINT_EVERY = 5_000
EQUITY_KEPT_MAX = 20_000
PENDING_EVENTS_MAX = 100_000


class Session:
    """Drive one engine.

    Parameters
    ----------
    engine : TradingEngine
        Fresh or restored.
    journal : JournalSink
        Written before handling and before sending.
    clock : Clock
        Stamps what arrives.
    on_step : callable, optional
        Called with every step that is not quiet; logs and notifications hang here.
    """

    def __init__(
        self,
        engine: TradingEngine,
        journal: JournalSink,
        clock: Clock,
        *,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.stop_reason = ""
        self.failure: JournalError | None = None
        self.breakdown: Exception | None = None
        self._journal = journal
        self._outbox: Outbox | None = None
        self._on_step = on_step
        self._on_stop: Callable[[], None] | None = None
        self._pending: deque[Event] = deque()
        self._is_pumping = False
        self._seq = 0
        self._recv_ns = 0
        self._equity: deque[EquityPoint] = deque(maxlen=EQUITY_KEPT_MAX)

    @property
    def seq(self) -> int:
        """Sequence number of the last event."""
        return self._seq

    @property
    def is_down(self) -> bool:
        """Whether the journal failed or an invariant broke; no event is handled any more."""
        return self.failure is not None or self.breakdown is not None

    def attach(self, outbox: Outbox, *, on_stop: Callable[[], None] | None = None) -> None:
        """Say where commands go, and whom to wake when somebody asks to stop."""
        self._outbox = outbox
        self._on_stop = on_stop

    def emit(self, event: Event) -> None:
        """Take one event; it is handled before this returns unless one is being handled.

        What breaks on the way (an invariant of the engine) takes the session down before it is
        raised, because who emits may be a task that nobody waits for.
        """
        self._pending.append(event)
        assert len(self._pending) < PENDING_EVENTS_MAX, "invariant: events are handled as they come"
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self._pending:
                self._handle(self._pending.popleft())
        except Exception as error:
            self.breakdown = error
            self._go_down(f"stopped by {type(error).__name__}: {error}")
            raise
        finally:
            self._is_pumping = False

    def operate(
        self,
        action: OperatorAction,
        who: str,
        *,
        coin: str = "",
        strategy: str = "",
        key: str = "",
        value: str = "",
        reason: str = "",
    ) -> None:
        """Turn a person's or a supervisor's wish into an event of the one path."""
        self.emit(
            OperatorCommanded(
                action=action,
                who=who,
                coin=coin,
                strategy=strategy,
                key=key,
                value=value,
                reason=reason,
            )
        )

    def request_stop(self, reason: str) -> None:
        """Ask for an orderly end; the first reason given is kept."""
        self.stop_reason = self.stop_reason or reason
        if self._on_stop is not None:
            self._on_stop()

    def status(self) -> SystemStatus:
        """Return the read-only picture of the system."""
        return self.engine.status()

    def recent_equity(self) -> tuple[EquityPoint, ...]:
        """Return the latest equity points, oldest first."""
        return tuple(self._equity)

    def close(self, reason: str) -> None:
        """End the journal in order, with a last checkpoint; once down only commit and release."""
        self.emit(SessionEnded(reason=reason))
        try:
            if not self.is_down:
                self._checkpoint()
            self._journal.close()
        except JournalError as error:
            self._fail(error)
            self._journal.close()

    def _handle(self, event: Event) -> None:
        if self.is_down:
            return
        stamped = self._stamp(event)
        try:
            self._journal.append(stamped)
            step = self.engine.process(stamped)
            self._journal.record(step)
            if self._seq % CHECKPOINT_EVERY == 0:
                self._checkpoint()
            if step.commands:
                self._journal.commit()
        except JournalError as error:
            self._fail(error)
            return
        if step.commands and self._outbox is not None:
            self._outbox.send(step.commands)
        if not step.is_quiet:
            if step.equity is not None:
                self._equity.append(step.equity)
            if self._on_step is not None:
                self._on_step(step)

    def _stamp(self, event: Event) -> AnyEvent:
        self._seq += 1
        self._recv_ns = max(self._recv_ns, self.clock.now_ns())
        stamped: Any = msgspec.structs.replace(event, seq=self._seq, ts_recv_ns=self._recv_ns)
        return stamped  # type: ignore[no-any-return]

    def _checkpoint(self) -> None:
        self._journal.checkpoint(self._seq, self.engine.state_hash())

    def _fail(self, error: JournalError) -> None:
        self.failure = error
        self._go_down(f"journal failed: {error}")

    def _go_down(self, reason: str) -> None:
        """Decide nothing more: cancel what works and ask to stop.

        Protective stops stay at the venue; they only shrink a position.
        """
        # Graver than any reason given before.
        self.stop_reason = reason
        self.request_stop(reason)
        orders = self.engine.cancellable_orders()
        if self._outbox is not None and orders:
            self._outbox.send(
                [CancelOrder(o.cloid, o.oid, o.coin, self.engine.asset_of(o.coin)) for o in orders]
            )
