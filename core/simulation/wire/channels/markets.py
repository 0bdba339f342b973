"""Channels of markets: mids, books, touches, prints, candles and one coin's context.

Source: reference section 11.4, recorded frames. Nobody's account shows here.
"""

from __future__ import annotations

from typing import Any

from core.simulation.market.builder_dexes import FIRST_DEX
from core.simulation.market.candles import INTERVALS_NS, Bar
from core.simulation.market.ticks import MarketTick
from core.simulation.wire.board import BOOK_LEVELS, BOOK_LEVELS_FAST
from core.simulation.wire.channels.base import (
    Cadence,
    Channel,
    ChannelContext,
    CoinChannel,
)
from core.simulation.wire.rows import Row
from core.simulation.wire.subscriptions import Key, Subscription, Wish, flag_of, is_valid_rounding


class AllMids(Channel):
    """Mid prices of all coins of a dex, at most every two seconds."""

    kind = "allMids"
    hears_market = True

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self._dex: str = key[1]
        self._cadence = Cadence(context.settings.mids_every_ns)

    @classmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Read ``dex``, which the acknowledgement shows only where it was given."""
        dex = context.dex_of(wish)
        if dex is None:
            return None
        echo = {"type": cls.kind} if wish.get("dex") is None else {"type": cls.kind, "dex": dex}
        return Subscription((cls.kind, dex), echo)

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return the mids as they stand."""
        return [self._row()]

    def on_tick(self, tick: MarketTick) -> Row | None:
        """Return the mids if they are due."""
        return self._row() if self._cadence.is_due(tick.ts_ns) else None

    def _row(self) -> Row:
        if self._dex != FIRST_DEX:
            return {"dex": self._dex, "mids": {}}
        return {"mids": self.context.board.mids_row()}


class L2Book(CoinChannel):
    """The whole displayed book of a coin: 20 levels, or 5 and more often with ``fast``."""

    kind = "l2Book"

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        _, _, self._figures, self._mantissa, is_fast = key
        settings = context.settings
        self._levels = BOOK_LEVELS_FAST if is_fast else BOOK_LEVELS
        every_ns = settings.book_fast_every_ns if is_fast else settings.book_every_ns
        self._cadence = Cadence(every_ns)

    @classmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Read ``coin``, ``nSigFigs``, ``mantissa`` and ``fast``."""
        coin, is_fast = context.coin_of(wish), flag_of(wish, "fast")
        figures, mantissa = wish.get("nSigFigs"), wish.get("mantissa")
        if coin is None or is_fast is None or not is_valid_rounding(figures, mantissa):
            return None
        echo: Row = {"type": cls.kind, "coin": coin, "nSigFigs": figures, "mantissa": mantissa}
        if wish.get("fast") is not None:
            echo["fast"] = is_fast
        return Subscription((cls.kind, coin, figures, mantissa, is_fast), echo)

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return the book as it stands."""
        return [self._row(now_ns)] if self.has_market else []

    def on_tick(self, tick: MarketTick) -> Row | None:
        """Return the book if it is due."""
        return self.on_change(tick.ts_ns)

    def on_change(self, ts_ns: int) -> Row | None:
        """Return the book if it is due."""
        if not self.has_market or not self._cadence.is_due(ts_ns):
            return None
        return self._row(ts_ns)

    def _row(self, ts_ns: int) -> Row:
        board = self.context.board
        row = board.book_row(
            self.coin,
            ts_ns=ts_ns,
            levels=self._levels,
            figures=self._figures,
            mantissa=self._mantissa,
        )
        spread = None if self._figures is None else board.spread_text(self.coin)
        return row if spread is None else {**row, "spread": spread}


class Bbo(CoinChannel):
    """Best bid and offer, whenever one of them changed."""

    kind = "bbo"

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self._last: list[Row | None] = []

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return the touch as it stands."""
        return [self.context.board.bbo_row(self.coin, now_ns)] if self.has_market else []

    def on_tick(self, tick: MarketTick) -> Row | None:
        """Return the touch if it changed."""
        return self.on_change(tick.ts_ns)

    def on_change(self, ts_ns: int) -> Row | None:
        """Return the touch if it changed."""
        row = self.context.board.bbo_row(self.coin, ts_ns)
        if row["bbo"] == self._last:
            return None
        self._last = row["bbo"]
        return row


class Trades(CoinChannel):
    """Public prints; what arrives together is one message, in order."""

    kind = "trades"

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return the recent prints, oldest first, if the settings want it so."""
        rows = self.context.board.recent_trades(self.coin)
        if not rows or not self.context.settings.shows_recent_trades:
            return []
        return [rows[::-1]]

    def on_prints(self, prints: list[Row]) -> list[Row]:
        """Return the prints."""
        return prints

    def data(self, rows: list[Any]) -> list[Any]:
        """Join the prints into one message."""
        return [[row for prints in rows for row in prints]]


class Candle(CoinChannel):
    """The running bar of a coin, whenever it changed; bars that arrive together keep one each."""

    kind = "candle"

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self._interval: str = key[2]
        self._last: Bar | None = None

    @classmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Read ``coin`` and ``interval``."""
        coin, interval = context.coin_of(wish), wish.get("interval")
        if coin is None or not isinstance(interval, str) or interval not in INTERVALS_NS:
            return None
        echo = {"type": cls.kind, "interval": interval, "coin": coin}
        return Subscription((cls.kind, coin, interval), echo)

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return the running bar."""
        bar = self.context.board.running_bar(self.coin, self._interval)
        return [] if bar is None else self._shaped([self._row(bar)])

    def on_tick(self, tick: MarketTick) -> Row | None:
        """Return the running bar if the tick changed it."""
        return self._changed()

    def on_prints(self, prints: list[Row]) -> Row | None:
        """Return the running bar if prints, those of local accounts too, changed it."""
        return self._changed()

    def data(self, rows: list[Any]) -> list[Any]:
        """Keep the newest row of each bar."""
        return self._shaped(list({row["t"]: row for row in rows}.values()))

    def _changed(self) -> Row | None:
        bar = self.context.board.running_bar(self.coin, self._interval)
        if bar is None or bar == self._last:
            return None
        self._last = bar
        return self._row(bar)

    def _row(self, bar: Bar) -> Row:
        return self.context.board.candle_row(self.coin, self._interval, *bar)

    def _shaped(self, rows: list[Row]) -> list[Any]:
        is_array = self.context.settings.candle_shape == "array"
        return [rows] if is_array and rows else rows
