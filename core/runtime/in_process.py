"""A venue in the same process, on virtual time: backtests run on it.

Order of work at every market tick, so that no order is filled by the tick that prompted it:
what was under way and is due arrives first, then resting orders meet the new market, then the
engine sees it after the feed's latency, then its commands travel for the entry latency.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import count

from core.model.codes import OperatorAction
from core.model.commands import Command, ReportAccount
from core.model.events import (
    BboChanged,
    BookChanged,
    CandleChanged,
    CandlesLoaded,
    ContextChanged,
    Event,
    InstrumentsListed,
    LinkChanged,
    TimerTicked,
    TradesPrinted,
)
from core.model.market import PublicTrade
from core.model.settings import TradingParams
from core.model.time import NS_PER_S, interval_ns
from core.runtime.session import Session
from core.simulation.adapter import execute_command, to_events
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.candles import CandleBuilder
from core.simulation.market.reaction import tell_trades
from core.simulation.market.source import MarketSource, ReactiveSource
from core.simulation.market.ticks import MarketTick
from core.simulation.wire.latency import LatencyModel

TIMER_NS = 15 * NS_PER_S
BOOK_EVERY_NS = 5 * NS_PER_S
WARM_UP_CANDLES = 500
WIND_DOWN_NS = 120 * NS_PER_S

_Item = Event | Command


class VirtualClock:
    """A clock that stands where the simulation stands."""

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Return the simulated time."""
        return self._now_ns

    def move_to(self, now_ns: int) -> None:
        """Go forward to ``now_ns``; never back."""
        self._now_ns = max(self._now_ns, now_ns)

    async def sleep(self, seconds: float) -> None:
        """Refuse: nothing waits in virtual time."""
        raise AssertionError(f"invariant: nothing sleeps in a backtest, asked for {seconds} s")


class InProcessRun:
    """Play a market source through a venue and a session on one virtual clock."""

    def __init__(
        self,
        session: Session,
        exchange: SimulatedExchange,
        source: MarketSource,
        *,
        clock: VirtualClock,
        account: str,
        params: TradingParams,
        latency: LatencyModel,
    ) -> None:
        self._session = session
        self._exchange = exchange
        self._source = source
        self._reactive = source if isinstance(source, ReactiveSource) else None
        self._clock = clock
        self._account = account
        self._params = params
        self._latency = latency
        self._interval_ns = interval_ns(params.candle_interval)
        self._candles = {coin: CandleBuilder(self._interval_ns) for coin in source.coins}
        self._queue: list[tuple[int, int, _Item]] = []
        self._ids = count()
        self._feed_due_ns = 0
        self._answer_due_ns = 0
        self._entry_due_ns = 0
        self._book_ns: dict[str, int] = {}
        session.attach(self)

    def send(self, commands: Sequence[Command]) -> None:
        """Let commands travel to the venue (the outbox of the session)."""
        due_ns = max(self._entry_due_ns, self._clock.now_ns() + self._latency.entry_ns())
        self._entry_due_ns = due_ns
        for command in commands:
            self._push(due_ns, command)

    def run(self) -> Iterator[int]:
        """Play everything; yield the time after each tick so that progress can be shown."""
        self._begin()
        timer_ns = self._source.start_ns
        for tick in self._source.ticks():
            while timer_ns < tick.ts_ns:
                self._push(timer_ns, TimerTicked(ts_exch_ns=timer_ns))
                timer_ns += TIMER_NS
            self._run_until(tick.ts_ns)
            self._clock.move_to(tick.ts_ns)
            self._exchange.apply_market(tick)
            self._deliver_outputs(tick.ts_ns)
            self._deliver_market(tick)
            yield tick.ts_ns
            if self._session.stop_reason:
                break
        self._end()

    def _begin(self) -> None:
        start_ns = self._source.start_ns
        self._session.emit(InstrumentsListed(instruments=tuple(self._source.instruments)))
        for coin in self._source.coins:
            candles = self._source.candles_before(
                coin, self._interval_ns, start_ns, WARM_UP_CANDLES
            )
            self._session.emit(
                CandlesLoaded(
                    coin=coin,
                    interval_ns=self._interval_ns,
                    candles=candles,
                    ts_exch_ns=start_ns,
                )
            )
        for channel in ("rest", "market", "user"):
            self._session.emit(LinkChanged(channel=channel, is_up=True))
        ask = ReportAccount(since_ns=0)
        for report in execute_command(self._exchange, self._account, ask, start_ns):
            self._session.emit(report)

    def _end(self) -> None:
        """Flatten on the last book, so that the result holds no open hopes."""
        end_ns = self._clock.now_ns() + WIND_DOWN_NS
        self._session.operate(OperatorAction.FLATTEN, "shutdown", reason="end of data")
        for timer_ns in range(self._clock.now_ns() + NS_PER_S, end_ns, NS_PER_S):
            self._push(timer_ns, TimerTicked(ts_exch_ns=timer_ns))
        self._run_until(end_ns)
        self._clock.move_to(end_ns)

    def _push(self, due_ns: int, item: _Item) -> None:
        heapq.heappush(self._queue, (due_ns, next(self._ids), item))

    def _run_until(self, limit_ns: int) -> None:
        """Let everything happen that is due before ``limit_ns``."""
        queue = self._queue
        while queue and queue[0][0] < limit_ns:
            due_ns, _, item = heapq.heappop(queue)
            self._clock.move_to(due_ns)
            if isinstance(item, Event):
                self._session.emit(item)
            else:
                self._execute(item, due_ns)

    def _execute(self, command: Command, now_ns: int) -> None:
        answers = execute_command(self._exchange, self._account, command, now_ns)
        self._deliver(answers, now_ns)
        self._deliver_outputs(now_ns)

    def _deliver_outputs(self, now_ns: int) -> None:
        outputs = self._exchange.drain()
        if outputs:
            if self._reactive is not None:
                tell_trades(self._reactive, outputs)
            self._deliver(to_events(outputs, self._account), now_ns)

    def _deliver(self, events: Sequence[Event], now_ns: int) -> None:
        if not events:
            return
        due_ns = max(self._answer_due_ns, now_ns + self._latency.response_ns())
        self._answer_due_ns = due_ns
        for event in events:
            self._push(due_ns, event)

    def _deliver_market(self, tick: MarketTick) -> None:
        due_ns = max(self._feed_due_ns, tick.ts_ns + self._latency.feed_ns())
        self._feed_due_ns = due_ns
        for event in self._market_events(tick):
            self._push(due_ns, event)

    def _market_events(self, tick: MarketTick) -> Iterator[Event]:
        coin, ts_ns = tick.coin, tick.ts_ns
        bid_px, bid_lots = tick.bids[0] if tick.bids else (0, 0)
        ask_px, ask_lots = tick.asks[0] if tick.asks else (0, 0)
        yield BboChanged(
            coin=coin,
            bid_px=bid_px,
            bid_lots=bid_lots,
            ask_px=ask_px,
            ask_lots=ask_lots,
            ts_exch_ns=ts_ns,
        )
        if ts_ns >= self._book_ns.get(coin, 0):
            self._book_ns[coin] = ts_ns + BOOK_EVERY_NS
            yield BookChanged(coin=coin, bids=tick.bids, asks=tick.asks, ts_exch_ns=ts_ns)
        if tick.trades:
            trades = tuple(
                PublicTrade(px, lots, is_buy, ts_ns, next(self._ids))
                for px, lots, is_buy in tick.trades
            )
            yield TradesPrinted(coin=coin, trades=trades, ts_exch_ns=ts_ns)
        yield CandleChanged(
            coin=coin,
            interval_ns=self._interval_ns,
            candle=self._candles[coin].add(tick),
            ts_exch_ns=ts_ns,
        )
        yield ContextChanged(
            coin=coin,
            mark_px=self._exchange.mark_px(coin),
            oracle_px=tick.oracle_px,
            funding_rate_1h=self._exchange.funding_rate_1h(coin),
            ts_exch_ns=ts_ns,
        )
