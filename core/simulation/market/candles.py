"""Candles from ticks, and candles from candles: the one definition of a bar in the simulator.

A bar begins at a multiple of its interval since the epoch, the monthly one with the calendar's
month. It holds what printed, prints of local accounts included where they are told; a bar without
prints stands at the close before it, as on the venue.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable, Sequence

from core.model.market import Candle
from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN
from core.simulation.market.ticks import MarketTick

MONTH_NS = 31 * NS_PER_DAY
"""Length of the longest month; as an interval it stands for the calendar's, see `bar_span`."""
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
    "1M": MONTH_NS,
}
"""The venue's intervals (candleSnapshot)."""

Print = tuple[int, int, bool]
"""Price units, lots, and whether the aggressor bought."""
Bar = tuple[Candle, int]
"""A candle and how often it printed."""
_EPOCH = dt.date(1970, 1, 1)
_MONTHS_PER_YEAR = 12

MINUTES_KEPT = 31 * 24 * 60


def bar_span(ts_ns: int, interval_ns: int) -> tuple[int, int]:
    """Return where the bar that holds a moment begins, and where the next one does."""
    if interval_ns != MONTH_NS:
        open_ns = ts_ns - ts_ns % interval_ns
        return open_ns, open_ns + interval_ns
    first = (_EPOCH + dt.timedelta(days=ts_ns // NS_PER_DAY)).replace(day=1)
    year, month = divmod(first.year * _MONTHS_PER_YEAR + first.month, _MONTHS_PER_YEAR)
    ends = (first, dt.date(year, month + 1, 1))
    open_ns, next_ns = ((day - _EPOCH).days * NS_PER_DAY for day in ends)
    return open_ns, next_ns


class CandleBuilder:
    """Fold ticks of one coin into candles of one interval.

    Parameters
    ----------
    interval_ns : int
        Length of a bar.
    running : Candle or None
        The bar so far, for a builder that begins in the middle of one.
    trade_count : int
        Its prints.
    """

    def __init__(
        self, interval_ns: int, running: Candle | None = None, trade_count: int = 0
    ) -> None:
        assert interval_ns > 0, f"invariant: interval above 0, was {interval_ns}"
        self._interval_ns = interval_ns
        self._candle = running
        self.trade_count = trade_count

    @property
    def candle(self) -> Candle | None:
        """The running bar, ``None`` before the first tick."""
        return self._candle

    def add(self, tick: MarketTick) -> Candle:
        """Take one tick and return the bar that is running after it.

        The first bar of a builder without history begins at the first print, or at the mark
        price where nothing printed.
        """
        return self._take(tick.ts_ns, tick.trades, tick.shown_px)

    def add_print(self, ts_ns: int, px: int, lots: int) -> Candle:
        """Take a print that is in no tick and return the bar that is running after it."""
        return self._take(ts_ns, ((px, lots, True),), px)

    def _take(self, ts_ns: int, trades: Sequence[Print], shown_px: int) -> Candle:
        open_ns = bar_span(ts_ns, self._interval_ns)[0]
        candle = self._candle
        if candle is not None and candle.open_ns == open_ns:
            if not trades:
                return candle
            open_px, high, low = candle.open_px, candle.high_px, candle.low_px
            volume = candle.volume_lots
            if volume == 0:
                open_px = high = low = trades[0][0]
        else:
            self.trade_count = 0
            before = candle.close_px if candle is not None else shown_px
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
        open_ns = bar_span(candle.open_ns, interval_ns)[0]
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

    Memory is bounded: the newest `MINUTES_KEPT` minutes are kept, and one running bar of each
    interval that was asked for. How often the history before the start printed is not known and
    counts 0.
    """

    def __init__(self, before: Iterable[Candle] = ()) -> None:
        self._closed: deque[Candle] = deque(before, maxlen=MINUTES_KEPT)
        self._counts: deque[int] = deque([0] * len(self._closed), maxlen=MINUTES_KEPT)
        self._minute = CandleBuilder(NS_PER_MIN, self._closed[-1] if self._closed else None)
        self._coarse: dict[int, CandleBuilder] = {}

    @property
    def running(self) -> Candle | None:
        """The minute that is not over, ``None`` before the first tick."""
        candle = self._minute.candle
        is_closed = self._closed and candle is self._closed[-1]
        return None if is_closed else candle

    def add(self, tick: MarketTick) -> Candle:
        """Take one tick; return the running minute."""
        for builder in self._coarse.values():
            builder.add(tick)
        before, count = self.running, self._minute.trade_count
        return self._closed_by(self._minute.add(tick), before, count)

    def add_print(self, ts_ns: int, px: int, lots: int) -> Candle:
        """Take a print that is in no tick; return the running minute."""
        for builder in self._coarse.values():
            builder.add_print(ts_ns, px, lots)
        before, count = self.running, self._minute.trade_count
        return self._closed_by(self._minute.add_print(ts_ns, px, lots), before, count)

    def _closed_by(self, candle: Candle, before: Candle | None, count: int) -> Candle:
        """Keep the minute before if the new one ended it."""
        if before is not None and before.open_ns != candle.open_ns:
            self._closed.append(before)
            self._counts.append(count)
        return candle

    def candles(self, interval_ns: int, start_ns: int, end_ns: int, count_max: int) -> list[Candle]:
        """Return the newest ``count_max`` bars that overlap a span, oldest first.

        The bar that holds ``start_ns`` is included, and the last may still be open.
        """
        minutes = [candle for candle, _ in self._minutes(interval_ns, start_ns, end_ns)]
        return merge_candles(minutes, interval_ns)[-count_max:]

    def counted_candles(
        self, interval_ns: int, start_ns: int, end_ns: int, count_max: int
    ) -> list[Bar]:
        """Return what `candles` does, each bar with its prints."""
        minutes = self._minutes(interval_ns, start_ns, end_ns)
        counts: dict[int, int] = {}
        for candle, count in minutes:
            open_ns = bar_span(candle.open_ns, interval_ns)[0]
            counts[open_ns] = counts.get(open_ns, 0) + count
        merged = merge_candles([candle for candle, _ in minutes], interval_ns)
        return [(candle, counts[candle.open_ns]) for candle in merged[-count_max:]]

    def running_bar(self, interval_ns: int) -> Bar | None:
        """Return the bar of an interval that is not over, with its prints.

        The first call looks through the minutes; from then on the bar is kept up to date.
        """
        running = self.running or (self._closed[-1] if self._closed else None)
        if running is None:
            return None
        builder = self._coarse.get(interval_ns)
        if builder is None:
            ((candle, count),) = self.counted_candles(
                interval_ns, running.open_ns, running.open_ns, 1
            )
            builder = self._coarse[interval_ns] = CandleBuilder(interval_ns, candle, count)
        bar = builder.candle
        assert bar is not None, "invariant: a builder that began with a bar has one"
        return bar, builder.trade_count

    def _minutes(self, interval_ns: int, start_ns: int, end_ns: int) -> list[Bar]:
        """Return the minutes of all bars that overlap a span."""
        first_ns, next_ns = bar_span(start_ns, interval_ns)[0], bar_span(end_ns, interval_ns)[1]
        minutes: list[Bar] = []
        running = self.running
        if running is not None and first_ns <= running.open_ns < next_ns:
            minutes.append((running, self._minute.trade_count))
        for candle, count in zip(reversed(self._closed), reversed(self._counts), strict=True):
            if candle.open_ns < first_ns:
                break
            if candle.open_ns < next_ns:
                minutes.append((candle, count))
        minutes.reverse()
        return minutes
