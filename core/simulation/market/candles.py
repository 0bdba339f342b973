"""Candles from ticks, and candles from candles: the one definition of a bar in the simulator.

A bar begins at a multiple of its interval since the epoch. It holds what printed; a bar without
prints stands at the close before it, as on the venue. Only the outside market's prints count: what
local accounts trade among themselves and with it moves no candle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from core.model.market import Candle
from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN
from core.simulation.market.ticks import MarketTick

INTERVALS_NS = {
    "1m": NS_PER_MIN,
    "3m": 3 * NS_PER_MIN,
    "5m": 5 * NS_PER_MIN,
    "15m": 15 * NS_PER_MIN,
    "30m": 30 * NS_PER_MIN,
    "1h": NS_PER_HOUR,
    "2h": 2 * NS_PER_HOUR,
    "4h": 4 * NS_PER_HOUR,
    "8h": 8 * NS_PER_HOUR,
    "12h": 12 * NS_PER_HOUR,
    "1d": NS_PER_DAY,
    "3d": 3 * NS_PER_DAY,
    "1w": 7 * NS_PER_DAY,
}
"""The venue's intervals (candleSnapshot); its calendar month ``1M`` is not simulated."""

MINUTES_KEPT = 31 * 24 * 60


class CandleBuilder:
    """Fold ticks of one coin into candles of one interval.

    Parameters
    ----------
    interval_ns : int
        Length of a bar.
    running : Candle or None
        The bar so far, for a builder that begins in the middle of one.
    """

    def __init__(self, interval_ns: int, running: Candle | None = None) -> None:
        assert interval_ns > 0, f"invariant: interval above 0, was {interval_ns}"
        self._interval_ns = interval_ns
        self._candle = running
        self.trade_count = 0

    @property
    def candle(self) -> Candle | None:
        """The running bar, ``None`` before the first tick."""
        return self._candle

    def add(self, tick: MarketTick) -> Candle:
        """Take one tick and return the bar that is running after it.

        The first bar of a builder without history begins at the first print, or at the mark
        price where nothing printed.
        """
        open_ns = tick.ts_ns - tick.ts_ns % self._interval_ns
        candle, trades = self._candle, tick.trades
        if candle is not None and candle.open_ns == open_ns:
            if not trades:
                return candle
            open_px, high, low = candle.open_px, candle.high_px, candle.low_px
            volume = candle.volume_lots
            if volume == 0:
                open_px = high = low = trades[0][0]
        else:
            self.trade_count = 0
            before = candle.close_px if candle is not None else tick.mark_px
            open_px = high = low = trades[0][0] if trades else before
            volume = 0
            if not trades:
                self._candle = Candle(open_ns, before, before, before, before, 0)
                return self._candle
        for px, lots, _ in trades:
            if px > high:
                high = px
            elif px < low:
                low = px
            volume += lots
        self.trade_count += len(trades)
        self._candle = Candle(open_ns, open_px, high, low, trades[-1][0], volume)
        return self._candle


def merge_candles(candles: Sequence[Candle], interval_ns: int) -> list[Candle]:
    """Fold consecutive candles into coarser ones, oldest first.

    Bars without volume take part with their price only if nothing in the coarse bar traded.
    """
    merged: list[Candle] = []
    for candle in candles:
        open_ns = candle.open_ns - candle.open_ns % interval_ns
        if not merged or merged[-1].open_ns != open_ns:
            merged.append(
                Candle(
                    open_ns,
                    candle.open_px,
                    candle.high_px,
                    candle.low_px,
                    candle.close_px,
                    candle.volume_lots,
                )
            )
            continue
        last = merged[-1]
        if candle.volume_lots == 0:
            continue
        is_first_trade = last.volume_lots == 0
        merged[-1] = Candle(
            open_ns,
            candle.open_px if is_first_trade else last.open_px,
            candle.high_px if is_first_trade else max(last.high_px, candle.high_px),
            candle.low_px if is_first_trade else min(last.low_px, candle.low_px),
            candle.close_px,
            last.volume_lots + candle.volume_lots,
        )
    return merged


class CandleHistory:
    """All that a venue remembers of one coin's bars: history before the start, and since.

    Memory is bounded: the newest `MINUTES_KEPT` minutes are kept.
    """

    def __init__(self, before: Iterable[Candle] = ()) -> None:
        self._closed: deque[Candle] = deque(before, maxlen=MINUTES_KEPT)
        self._builder = CandleBuilder(NS_PER_MIN, self._closed[-1] if self._closed else None)

    @property
    def running(self) -> Candle | None:
        """The minute that is not over, ``None`` before the first tick."""
        candle = self._builder.candle
        is_closed = self._closed and candle is self._closed[-1]
        return None if is_closed else candle

    @property
    def trade_count(self) -> int:
        """Prints in the running minute."""
        return self._builder.trade_count

    def add(self, tick: MarketTick) -> Candle:
        """Take one tick; return the running minute."""
        before = self.running
        candle = self._builder.add(tick)
        if before is not None and before.open_ns != candle.open_ns:
            self._closed.append(before)
        return candle

    def candles(self, interval_ns: int, start_ns: int, end_ns: int, count_max: int) -> list[Candle]:
        """Return the newest ``count_max`` bars that overlap a span, oldest first.

        The bar that holds ``start_ns`` is included, and the last may still be open.
        """
        first_ns = start_ns - start_ns % interval_ns
        minutes: list[Candle] = []
        running = self.running
        if running is not None and first_ns <= running.open_ns <= end_ns:
            minutes.append(running)
        for candle in reversed(self._closed):
            if candle.open_ns < first_ns:
                break
            if candle.open_ns <= end_ns:
                minutes.append(candle)
        minutes.reverse()
        return merge_candles(minutes, interval_ns)[-count_max:]

    def builder(self, interval_ns: int) -> CandleBuilder:
        """Return a builder of coarser bars that stands where this history stands."""
        running = self.running or (self._closed[-1] if self._closed else None)
        if running is None:
            return CandleBuilder(interval_ns)
        bars = self.candles(interval_ns, running.open_ns, running.open_ns, 1)
        return CandleBuilder(interval_ns, bars[-1] if bars else None)
