"""The outbox over the wire: takes commands without blocking, emits answers as events.

Commands leave in the order they came, those that wait together in as few requests as possible. A
request whose answer is slow does not hold up the next one for long, and reads have a queue of their
own, so that a cancel never waits behind them. The gateway decides nothing and retries nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from core.api.answers import refused_event, unanswered_event
from core.api.hyperliquid_api import HyperliquidAPI
from core.api.pace import at_least_wall, is_done_within, report_failure
from core.model.codes import RejectionCode
from core.model.commands import CancelOrder, Command, LookUpOrder, ReportAccount
from core.model.errors import NovaError
from core.model.events import Event, VenueUnavailable
from core.model.ports import Emit
from core.model.time import NS_PER_S

QUEUE_MAX = 5_000
IN_FLIGHT_MAX = 4
PATIENCE_SECONDS = 1.0
PATIENCE_WALL_SECONDS = 0.25
"""How long the next request waits for the answer to the one before."""

CLOSE_WALL_SECONDS = 5.0


async def account_report(api: HyperliquidAPI, since_ns: int) -> list[Event]:
    """Return what became of an account since a time: what explains a change comes before it.

    Raises
    ------
    VenueError
        If the venue does not answer.
    """
    return [
        *await api.fetch_ledger(since_ns),
        *await api.fetch_funding(since_ns),
        *await api.fetch_fills(since_ns),
        await api.fetch_open_orders(),
        await api.fetch_account(),
    ]


class Gateway:
    """Carry commands to a venue; implements `core.model.ports.Outbox`.

    Parameters
    ----------
    api : HyperliquidAPI
        Connected client with a signer.
    emit : Emit
        Takes the answer events.
    ttl_ns : int
        Life of an order from the moment it is handed over: the venue must not execute it later,
        however long it waits here. Cancels do not expire.
    """

    def __init__(self, api: HyperliquidAPI, emit: Emit, *, ttl_ns: int) -> None:
        self._api = api
        self._emit = emit
        self._ttl_ns = ttl_ns
        self._actions: deque[tuple[Command, int]] = deque()
        self._reads: deque[Command] = deque()
        self._wake_actions = asyncio.Event()
        self._wake_reads = asyncio.Event()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._reading = False
        self._workers: list[asyncio.Task[None]] = []
        self._is_closed = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is queued and nothing awaits an answer."""
        return not (self._actions or self._reads or self._in_flight or self._reading)

    def send(self, commands: Sequence[Command]) -> None:
        """Take commands in order; never blocks.

        A command that finds the queue full or the gateway closed is answered at once with a
        definite no, because it was not sent.
        """
        for command in commands:
            is_read = isinstance(command, LookUpOrder | ReportAccount)
            if self._is_closed or len(self._reads if is_read else self._actions) >= QUEUE_MAX:
                self._refuse(command)
            elif is_read:
                self._reads.append(command)
                self._wake_reads.set()
            else:
                self._actions.append((command, self._api.clock.now_ns() + self._ttl_ns))
                self._wake_actions.set()

    async def start(self) -> None:
        """Start carrying; harmless if started."""
        if not self._workers:
            self._workers = [
                asyncio.create_task(self._carry_actions()),
                asyncio.create_task(self._carry_reads()),
            ]

    async def close(self) -> None:
        """Take no more, give what is in flight a moment to be answered, and stop."""
        self._is_closed = True
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers = []
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=CLOSE_WALL_SECONDS)
        for task in self._in_flight:
            task.cancel()
        await asyncio.gather(*self._in_flight, return_exceptions=True)
        self._in_flight.clear()
        while self._actions:
            self._refuse(self._actions.popleft()[0])
        self._reads.clear()

    def _refuse(self, command: Command) -> None:
        reason = "gateway is closed" if self._is_closed else f"queue of {QUEUE_MAX} is full"
        if isinstance(command, LookUpOrder | ReportAccount):
            until_ns = self._api.clock.now_ns() + NS_PER_S
            self._emit(VenueUnavailable(reason=f"read not sent: {reason}", until_ns=until_ns))
            return
        self._emit(refused_event(command, f"not sent: {reason}", code=RejectionCode.RATE_LIMITED))

    async def _carry_actions(self) -> None:
        while True:
            await self._wake_actions.wait()
            self._wake_actions.clear()
            batch, ttl_ns = self._take_actions()
            if not batch:
                continue
            task = asyncio.create_task(self._execute(batch, ttl_ns), name="gateway request")
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)
            task.add_done_callback(report_failure)
            # Let it be answered before the next request leaves, but not for ever.
            seconds = at_least_wall(self._api.clock, PATIENCE_SECONDS, PATIENCE_WALL_SECONDS)
            await is_done_within(self._api.clock, seconds, task)
            if len(self._in_flight) >= IN_FLIGHT_MAX:
                await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)

    def _take_actions(self) -> tuple[tuple[Command, ...], int]:
        """Take what waits, and the shortest life left among it; what has outlived its is refused.

        Whoever decided takes an order for dead when its life is over: it must not leave later.
        """
        now_ns, ttl_ns = self._api.clock.now_ns(), self._ttl_ns
        batch: list[Command] = []
        while self._actions:
            command, until_ns = self._actions.popleft()
            if not isinstance(command, CancelOrder):
                if until_ns <= now_ns:
                    text = "not sent: its life was over before it could leave"
                    code = RejectionCode.ACTION_EXPIRED
                    self._emit(refused_event(command, text, code=code))
                    continue
                ttl_ns = min(ttl_ns, until_ns - now_ns)
            batch.append(command)
        return tuple(batch), ttl_ns

    async def _carry_reads(self) -> None:
        while True:
            await self._wake_reads.wait()
            self._wake_reads.clear()
            while self._reads:
                self._reading = True
                try:
                    await self._execute((self._reads.popleft(),), self._ttl_ns)
                finally:
                    self._reading = False

    async def _execute(self, commands: tuple[Command, ...], ttl_ns: int) -> None:
        """Send commands and emit what came back; no order stays unspoken of."""
        reason = "stopped while waiting for the answer"
        events: list[Event] | None = None
        try:
            first = commands[0]
            if isinstance(first, ReportAccount):
                events = await account_report(self._api, first.since_ns)
            else:
                events = await self._api.execute(commands, ttl_ns=ttl_ns)
        except NovaError as error:
            reason = str(error)
        finally:
            for event in self._unknown(commands, reason) if events is None else events:
                self._emit(event)

    def _unknown(self, commands: tuple[Command, ...], reason: str) -> list[Event]:
        """Return what is known of commands that may or may not have been sent."""
        until_ns = self._api.clock.now_ns() + NS_PER_S
        return [
            VenueUnavailable(reason=reason, until_ns=until_ns)
            if isinstance(command, LookUpOrder | ReportAccount)
            else unanswered_event(command, reason)
            for command in commands
        ]
