"""A local account that trades against a venue's public market data."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from core.model.commands import Command, ReportAccount
from core.model.events import (
    BboChanged,
    BookChanged,
    ContextChanged,
    Event,
    InstrumentsListed,
    LinkChanged,
    OrderFilled,
    TradesPrinted,
)
from core.model.market import Level
from core.model.ports import Clock, Emit
from core.model.time import NS_PER_S
from core.runtime.paper_seed import PaperSeed, plant
from core.simulation.adapter import execute_command, to_events
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick, MarketTrade
from core.simulation.wire.latency import LatencyModel

UNDER_WAY_MAX = 10_000

_Item = TypeVar("_Item")


class Conveyor(Generic[_Item]):
    """Hand items over after a delay each, first in, first out."""

    def __init__(
        self, clock: Clock, delay_ns: Callable[[], int], hand_over: Callable[[_Item], None]
    ) -> None:
        self._clock = clock
        self._delay_ns = delay_ns
        self._hand_over = hand_over
        self._items: deque[tuple[int, _Item]] = deque()
        self._due_ns = 0
        self._wake = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is under way."""
        return not self._items

    def put(self, item: _Item) -> None:
        """Send one item on its way; it never overtakes an earlier one."""
        assert len(self._items) < UNDER_WAY_MAX, "invariant: what is under way is bounded"
        self._due_ns = max(self._due_ns, self._clock.now_ns() + self._delay_ns())
        self._items.append((self._due_ns, item))
        self._wake.set()

    async def run(self) -> None:
        """Hand over what is due, for ever."""
        while True:
            while self._items:
                due_ns, item = self._items[0]
                await self._clock.sleep(max(0, due_ns - self._clock.now_ns()) / NS_PER_S)
                self._hand_over(item)
                self._items.popleft()
            self._wake.clear()
            await self._wake.wait()


class PaperLink:
    """The trading half of a paper session.

    Its orders move nobody's market. Fills follow the simulated exchange's rules, with latency
    both ways; see ``docs/simulation-honesty.md``. With a ``seed`` it goes on from there, and
    ``equity_micro`` is not looked at.
    """

    def __init__(
        self,
        emit: Emit,
        *,
        account: str,
        equity_micro: int,
        clock: Clock,
        latency: LatencyModel,
        seed: PaperSeed | None = None,
    ) -> None:
        self._emit = emit
        self._seed = seed
        self._seed_oids: frozenset[int] = frozenset()
        self._account = account
        self._equity_micro = equity_micro
        self._clock = clock
        self._exchange: SimulatedExchange | None = None
        self._books: dict[str, tuple[tuple[Level, ...], tuple[Level, ...]]] = {}
        self._contexts: dict[str, ContextChanged] = {}
        self._prints: dict[str, tuple[int, set[int]]] = {}
        self._commands: Conveyor[Command] = Conveyor(clock, latency.entry_ns, self._execute)
        self._answers: Conveyor[Event] = Conveyor(clock, latency.response_ns, emit)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_idle(self) -> bool:
        """Whether no command and no answer is under way."""
        return self._commands.is_empty and self._answers.is_empty

    def send(self, commands: Sequence[Command]) -> None:
        """Let commands travel for the entry latency."""
        for command in commands:
            self._commands.put(command)

    def observe(self, event: Event) -> None:
        """Let resting paper orders meet the market before the engine sees it."""
        if isinstance(event, InstrumentsListed) and self._exchange is None:
            self._exchange = SimulatedExchange(event.instruments, start_ns=self._clock.now_ns())
            if self._seed is None:
                self._exchange.fund(self._account, self._equity_micro)
            else:
                self._seed_oids = plant(self._exchange, self._account, self._seed)
            self._exchange.drain()
        elif isinstance(event, ContextChanged):
            self._contexts[event.coin] = event
            self._apply(event.coin, event.ts_exch_ns, ())
        elif isinstance(event, BboChanged):
            self._books[event.coin] = _with_touch(self._books.get(event.coin, ((), ())), event)
            self._apply(event.coin, event.ts_exch_ns, ())
        elif isinstance(event, BookChanged):
            self._books[event.coin] = (event.bids, event.asks)
            self._apply(event.coin, event.ts_exch_ns, ())
        elif isinstance(event, TradesPrinted):
            self._apply(event.coin, event.ts_exch_ns, self._new_trades(event))

    def _new_trades(self, event: TradesPrinted) -> tuple[MarketTrade, ...]:
        """Leave out what was seen: every new subscription begins with prints of the past."""
        latest_ns, seen = self._prints.setdefault(event.coin, (self._clock.now_ns(), set()))
        new = []
        for trade in event.trades:
            if trade.ts_exch_ns > latest_ns:
                latest_ns, seen = trade.ts_exch_ns, set()
            if trade.ts_exch_ns == latest_ns and trade.tid not in seen:
                seen.add(trade.tid)
                new.append((trade.px, trade.lots, trade.is_buy))
        self._prints[event.coin] = (latest_ns, seen)
        return tuple(new)

    async def start(self) -> None:
        """Begin to carry, and say that a paper account's user channel is up."""
        for conveyor in (self._commands, self._answers):
            task = asyncio.create_task(conveyor.run())
            task.add_done_callback(self._tell_end)
            self._tasks.append(task)
        self._emit(LinkChanged(channel="user", is_up=True, detail="paper account"))

    async def close(self) -> None:
        """Drop what is still travelling; raises what ended the carrying early, if anything did."""
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def report(self, since_ns: int) -> list[Event]:
        """Return the account state the paper venue keeps."""
        events = execute_command(
            self._venue(), self._account, ReportAccount(since_ns), self._clock.now_ns()
        )
        return [event for event in events if self._is_news(event)]

    async def report_budget(self) -> list[Event]:
        """Return nothing: paper requests cost nothing."""
        return []

    def _venue(self) -> SimulatedExchange:
        assert self._exchange is not None, "invariant: metadata arrives before anything else"
        return self._exchange

    def _apply(self, coin: str, ts_ns: int, trades: tuple[MarketTrade, ...]) -> None:
        book, context = self._books.get(coin), self._contexts.get(coin)
        if self._exchange is None or book is None or context is None:
            return
        self._exchange.apply_market(
            MarketTick(
                ts_ns=max(ts_ns, self._exchange.now_ns),
                coin=coin,
                bids=book[0],
                asks=book[1],
                trades=trades,
                mark_px=context.mark_px,
                oracle_px=context.oracle_px,
                funding_rate_1h=context.funding_rate_1h,
            )
        )
        self._answer(to_events(self._exchange.drain(), self._account))

    def _execute(self, command: Command) -> None:
        exchange = self._venue()
        self._answer(execute_command(exchange, self._account, command, self._clock.now_ns()))
        self._answer(to_events(exchange.drain(), self._account))

    def _answer(self, events: Sequence[Event]) -> None:
        for event in events:
            if self._is_news(event):
                self._answers.put(event)

    def _is_news(self, event: Event) -> bool:
        """Tell whether an event is no part of how the account was set up."""
        return not (isinstance(event, OrderFilled) and event.fill.oid in self._seed_oids)

    def _tell_end(self, task: asyncio.Task[None]) -> None:
        """A venue that broke down answers nothing more: the engine must not open exposure."""
        if not task.cancelled() and task.exception() is not None:
            self._emit(LinkChanged(channel="user", is_up=False, detail=str(task.exception())))


def _with_touch(
    book: tuple[tuple[Level, ...], tuple[Level, ...]], event: BboChanged
) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """Put the new touch on the last known depth; levels beyond it are gone, so is an empty side."""
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    if event.bid_px:
        behind = tuple(level for level in book[0] if level[0] < event.bid_px)
        bids = ((event.bid_px, event.bid_lots), *behind)
    if event.ask_px:
        behind = tuple(level for level in book[1] if level[0] > event.ask_px)
        asks = ((event.ask_px, event.ask_lots), *behind)
    return bids, asks
