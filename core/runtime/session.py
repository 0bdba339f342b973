"""One running system: inbox, journal, engine, outbox, in that order for every event.

Without a journal nothing is decided any more, but what is open is still looked after: entries are
cancelled, and a position keeps, or still gets, its stop. A session owns the only place where an
event becomes a step. It is synchronous on purpose: bytes in, journal, decide, journal, commands
out, with no await between, so nothing can interleave. Where events come from and where commands
go is plugged in by `compose`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from core.engines.trading_engine import TradingEngine
from core.model.account import EquityPoint
from core.model.codes import OperatorAction, Purpose, RejectionCode
from core.model.commands import (
    CancelOrder,
    Command,
    LookUpOrder,
    ModifyOrder,
    PlaceOrder,
    ReportAccount,
)
from core.model.errors import JournalError
from core.model.events import (
    AnyEvent,
    Event,
    OperatorCommanded,
    OrderRejected,
    SessionEnded,
)
from core.model.ports import Clock, JournalSink, Outbox, SnapshotSink
from core.model.status import SystemStatus
from core.model.step import Step

CHECKPOINT_EVERY = 5_000
_READS = (LookUpOrder, ReportAccount)
"""What changes nothing needs no disk before it leaves."""
SNAPSHOT_EVERY = 20_000
"""Events between two snapshots: what a restart replays at most, in about a second."""
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
    snapshots : SnapshotSink, optional
        Given the engine's state from time to time and at the end, for a restart.
    """

    def __init__(
        self,
        engine: TradingEngine,
        journal: JournalSink,
        clock: Clock,
        *,
        on_step: Callable[[Step], None] | None = None,
        snapshots: SnapshotSink | None = None,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.stop_reason = ""
        self.failure: JournalError | None = None
        self.breakdown: Exception | None = None
        self._journal = journal
        self._snapshots = snapshots
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
        """Whether the journal failed or an invariant broke; nothing is decided any more."""
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

    def make_durable(self) -> None:
        """Put everything so far on disk.

        Raises
        ------
        JournalError
            If the disk refuses.
        """
        self._journal.commit()

    def close(self, reason: str) -> None:
        """End the journal in order, with a last snapshot; once down only commit and release."""
        if not self.is_down:
            self.emit(SessionEnded(reason=reason))
        try:
            if not self.is_down:
                self._checkpoint()
                self._snapshot()
            self._journal.close()
        except JournalError as error:
            self._fail(error)
            self._journal.close()
        finally:
            if self._snapshots is not None:
                self._snapshots.close()

    def _handle(self, event: Event) -> None:
        if self.breakdown is not None:
            return
        stamped = self._stamp(event)
        if self.failure is not None:
            if not _lifts(event):
                self._rescue(self.engine.process(stamped))
            return
        step: Step | None = None
        try:
            self._journal.append(stamped)
            step = self.engine.process(stamped)
            self._journal.record(step)
            if self._seq % CHECKPOINT_EVERY == 0:
                self._checkpoint()
            # An alert may tell of a latch or of a person's word, which a crash must not forget.
            if step.alerts or any(not isinstance(c, _READS) for c in step.commands):
                self._journal.commit()
            if self._seq % SNAPSHOT_EVERY == 0:
                self._snapshot()
        except JournalError as error:
            self._fail(error, self.engine.process(stamped) if step is None else step)
            return
        if step.commands and self._outbox is not None:
            self._outbox.send(step.commands)
        self._show(step)

    def _show(self, step: Step) -> None:
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

    def _snapshot(self) -> None:
        """Hand out the state; the journal holds everything that led to it before."""
        if self._snapshots is not None:
            self._journal.commit()
            self._snapshots.save(self._seq, self.engine.snapshot())

    def _fail(self, error: JournalError, step: Step | None = None) -> None:
        """Halt the engine in memory and go down; what the last event asks for is rescued."""
        self.failure = error
        left = [] if step is None else self._rescue(step)
        halt = OperatorCommanded(action=OperatorAction.HALT, who="journal", reason=str(error))
        left += self._rescue(self.engine.process(self._stamp(halt)))
        cancelled = {command.cloid for command in left if isinstance(command, CancelOrder)}
        self._go_down(f"journal failed: {error}", cancelled)

    def _rescue(self, step: Step) -> list[Command]:
        """Send, and return, what may leave although no journal knows of it; show the step.

        Of the rest the engine is told that it was never sent.
        """
        commands = [command for command in step.commands if _protects(command)]
        if commands and self._outbox is not None:
            self._outbox.send(commands)
        self._show(step)
        for command in step.commands:
            if isinstance(command, PlaceOrder | ModifyOrder) and not _protects(command):
                self._rescue(self.engine.process(self._stamp(_never_sent(command))))
        return commands

    def _go_down(self, reason: str, cancelled: Collection[str] = ()) -> None:
        """Decide nothing more: cancel what works and ask to stop.

        Protective stops stay at the venue; they only shrink a position.
        """
        # Graver than any reason given before.
        self.stop_reason = reason
        self.request_stop(reason)
        cancels = [
            CancelOrder(order.cloid, order.oid, order.coin, self.engine.asset_of(order.coin))
            for order in self.engine.cancellable_orders()
            if order.cloid not in cancelled
        ]
        if self._outbox is not None and cancels:
            self._outbox.send(cancels)


def _never_sent(command: PlaceOrder | ModifyOrder) -> OrderRejected:
    order = command.order if isinstance(command, ModifyOrder) else command
    text = "not sent: the journal failed"
    code = RejectionCode.UNCLASSIFIED
    return OrderRejected(coin=order.coin, cloid=order.cloid, code=code, venue_text=text)


def _lifts(event: Event) -> bool:
    """Tell whether an event would let trading go on."""
    return isinstance(event, OperatorCommanded) and event.action is OperatorAction.RESUME


def _protects(command: Command) -> bool:
    """Tell whether a command can only lessen what may be lost, or only asks.

    An order that no disk remembers is recognised by its client id after a restart.
    """
    if isinstance(command, PlaceOrder | ModifyOrder):
        order = command.order if isinstance(command, ModifyOrder) else command
        return order.reduce_only and order.purpose in (Purpose.STOP, Purpose.TARGET)
    return isinstance(command, (CancelOrder, *_READS))
