"""A market from recorded trades alone: prints are real, the book around them is drawn.

One tick a second in which something traded, with the prints of that second; between them the book
stands still. Spread, levels and sizes follow the rules of ``depth``, from what had traded by then.
Closed history before the first trade does not exist.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from operator import attrgetter
from pathlib import Path

import numpy as np

from core.model.errors import DataFileError
from core.model.instrument import Instrument
from core.model.market import Candle
from core.model.time import NS_PER_MS, NS_PER_S
from core.simulation.market.depth import TOUCH_VOLUME_SHARE, Float64Array, draw_books
from core.simulation.market.price_grid import Int64Array
from core.simulation.market.tick_source import INTEREST_RATE_1H, read_trades
from core.simulation.market.ticks import MarketTick, MarketTrade
from core.simulation.market.universe import instrument_of, recorded_instruments

MS_PER_TICK = 1_000
RECENT_S = 1_800
"""Sizes follow the mean volume of so many seconds."""
RANGE_TICKS = 60
"""The spread follows the range of so many ticks."""
BLOCK_TICKS = 4_096


class TradeSource:
    """Play recorded trades of one or more coins.

    Parameters
    ----------
    files : mapping of str to Path
        Trades by coin, Parquet or CSV with ``ts_ms, px, sz, side`` (side ``B`` or ``A``, the
        aggressor's).
    seed : int
        Of the drawn books.

    Raises
    ------
    DataFileError
        If a coin is unknown, or a file is unusable or holds no trade.
    """

    def __init__(self, files: Mapping[str, Path], *, seed: int = 7) -> None:
        self._tapes = {
            coin: _CoinTape(instrument_of(coin), path, seed) for coin, path in files.items()
        }
        self._start_ns = min(tape.start_ns for tape in self._tapes.values())
        self._end_ns = max(tape.end_ns for tape in self._tapes.values())

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The whole recorded universe."""
        return recorded_instruments()

    @property
    def coins(self) -> tuple[str, ...]:
        """The coins, in the order of the files."""
        return tuple(self._tapes)

    @property
    def start_ns(self) -> int:
        """Moment of the first tick."""
        return self._start_ns

    @property
    def end_ns(self) -> int:
        """Moment after the last tick."""
        return self._end_ns

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What a reader of results must know."""
        return (
            "prints are recorded trades on Hyperliquid's price grid; the book around them is drawn "
            "from recent volume and range, and changes at most once a second",
            "mark and oracle price are the middle of the spread; funding is the interest part "
            "alone, 0.00125 % an hour",
        )

    def ticks(self) -> Iterator[MarketTick]:
        """Play the recording, ordered by time."""
        return heapq.merge(
            *(tape.ticks() for tape in self._tapes.values()), key=attrgetter("ts_ns")
        )

    def candles_before(
        self, coin: str, interval_ns: int, end_ns: int, count: int
    ) -> tuple[Candle, ...]:
        """Return no candles: the recording has no history before its first trade."""
        return ()


class _CoinTape:
    """One coin's trades in seconds."""

    def __init__(self, instrument: Instrument, path: Path, seed: int) -> None:
        self._instrument, self._seed = instrument, seed
        rows = read_trades(path, instrument)
        if not rows:
            raise DataFileError(f"{path} should hold trades of at least one lot, holds none")
        self._trades: list[MarketTrade] = [trade for _, trade in rows]
        seconds = np.array([ts_ms for ts_ms, _ in rows], dtype=np.int64) // MS_PER_TICK
        self._ends = np.append(np.flatnonzero(np.diff(seconds)) + 1, seconds.size)
        # A second's tick stands at its end, when all of its prints have happened.
        self._ts_ns: Int64Array = (seconds[self._ends - 1] + 1) * MS_PER_TICK * NS_PER_MS
        self._px = np.array([self._trades[end - 1][0] for end in self._ends], dtype=np.int64)
        self._is_buy = np.array([self._trades[end - 1][2] for end in self._ends], dtype=np.bool_)
        self._touch = self._touch_lots()
        self._range = self._range_units()

    @property
    def start_ns(self) -> int:
        return int(self._ts_ns[0])

    @property
    def end_ns(self) -> int:
        return int(self._ts_ns[-1]) + 1

    def ticks(self) -> Iterator[MarketTick]:
        begin = 0
        for low in range(0, self._px.size, BLOCK_TICKS):
            block = slice(low, min(low + BLOCK_TICKS, self._px.size))
            # Always a whole block, so that a longer file draws the same books at its start.
            missing = (0, low + BLOCK_TICKS - block.stop)
            books = draw_books(
                np.pad(self._px[block], missing, "edge"),
                np.pad(self._is_buy[block], missing, "edge"),
                np.pad(self._touch[block], missing, "edge"),
                np.pad(self._range[block], missing, "edge"),
                px_scale=self._instrument.px_scale,
                rng=np.random.default_rng([self._seed, self._instrument.asset, low]),
            )
            columns = (books.bid_px, books.bid_lots, books.ask_px, books.ask_lots)
            rows = zip(
                self._ts_ns[block].tolist(),
                self._ends[block].tolist(),
                *(column[: block.stop - low].tolist() for column in columns),
                strict=True,
            )
            for ts_ns, end, bid_px, bid_lots, ask_px, ask_lots in rows:
                bids = tuple(row for row in zip(bid_px, bid_lots, strict=True) if row[0] > 0)
                asks = tuple(zip(ask_px, ask_lots, strict=True))
                middle = (bids[0][0] + asks[0][0]) // 2 if bids else asks[0][0]
                trades = tuple(self._trades[begin:end])
                begin = end
                yield MarketTick(
                    ts_ns,
                    self._instrument.coin,
                    bids,
                    asks,
                    trades,
                    middle,
                    middle,
                    INTEREST_RATE_1H,
                )

    def _touch_lots(self) -> Float64Array:
        """Return the ordinary touch: a share of a minute's volume, of the half hour until then."""
        total = np.cumsum([lots for _, lots, _ in self._trades], dtype=np.int64)[self._ends - 1]
        first = np.searchsorted(self._ts_ns, self._ts_ns - RECENT_S * NS_PER_S, side="right")
        before = np.where(first > 0, total[first - 1], 0)
        known_s = np.minimum(RECENT_S, (self._ts_ns - self._ts_ns[0]) / NS_PER_S + 1.0)
        per_minute = (total - before) / known_s * 60.0
        touch: Float64Array = np.maximum(1.0, per_minute * TOUCH_VOLUME_SHARE)
        return touch

    def _range_units(self) -> Float64Array:
        """Return high minus low of the ticks until then."""
        padded = np.concatenate([np.full(RANGE_TICKS - 1, self._px[0]), self._px])
        windows = np.lib.stride_tricks.sliding_window_view(padded, RANGE_TICKS)
        return np.asarray(windows.max(axis=1) - windows.min(axis=1), dtype=np.float64)
