"""A market from candles: files in, ticks out, the same for the same seed.

Each bar becomes a stated path (`intrabar`) inside a stated book (`depth`). Randomness is drawn
per coin and block of four hours, so a replay that begins later shows the same ticks, and memory
stays bounded by one block. It knows no venue and no strategy.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from core.model.errors import DataFileError
from core.model.instrument import Instrument
from core.model.market import Candle
from core.model.time import NS_PER_HOUR, utc_text
from core.simulation.market.candle_files import (
    CandleTable,
    FundingTable,
    read_candles,
    read_funding,
)
from core.simulation.market.candles import merge_candles
from core.simulation.market.depth import TOUCH_VOLUME_SHARE, Books, draw_books
from core.simulation.market.intrabar import BarPaths, Bars, walk_bars
from core.simulation.market.price_grid import Int64Array, nearest_on_grid
from core.simulation.market.ticks import MarketTick, MarketTrade
from core.simulation.market.universe import instrument_of, recorded_instruments

TICKS_PER_BAR = 6
BLOCK_NS = 4 * NS_PER_HOUR
RECENT_BARS = 30
TOUCH_FALLBACK_USDC = 50_000.0
"""Size at the touch while no bar has closed yet."""
COUNTER_SHARE = 0.3
"""Share of a tick's volume that prints at the other side of the spread."""
PREMIUM_SHARE = 0.1
"""Assumed premium of perpetual over spot, as a share of the one-hour over the eight-hour mean."""
INTEREST_8H = 0.0001
CLAMP_8H = 0.0005
RATE_CAP_1H = 0.04

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class CandleSource:
    """Play candle files as a market.

    Parameters
    ----------
    files : mapping of str to Path
        Coin (a name of the recorded universe) to its Parquet or CSV file.
    start_ns, end_ns : int or None
        Span to play; the whole common span of the files by default.
    seed : int
        Reproduces everything that the files do not tell.
    ticks_per_bar : int
        At least 4.
    funding : mapping of str to Path
        Recorded hourly rates of some coins; others follow `assumed_funding`.

    Raises
    ------
    DataFileError
        If a file is unusable, a coin is unknown, or the span holds no candle.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        *,
        start_ns: int | None = None,
        end_ns: int | None = None,
        seed: int = 7,
        ticks_per_bar: int = TICKS_PER_BAR,
        funding: Mapping[str, Path] | None = None,
    ) -> None:
        if not files:
            raise DataFileError("market data should name at least one coin, named none")
        rates = {coin: read_funding(path) for coin, path in (funding or {}).items()}
        self._tracks = [
            _Track(
                instrument_of(coin),
                read_candles(Path(path)),
                seed=seed,
                ticks=ticks_per_bar,
                funding=rates.get(coin),
            )
            for coin, path in files.items()
        ]
        first_ns = max(track.first_ns for track in self._tracks)
        last_ns = min(track.last_ns for track in self._tracks)
        self._start_ns = first_ns if start_ns is None else max(start_ns, first_ns)
        self._end_ns = last_ns if end_ns is None else min(end_ns, last_ns)
        if self._start_ns >= self._end_ns:
            raise DataFileError(
                f"market data should overlap the span asked for, files hold {utc_text(first_ns)} "
                f"to {utc_text(last_ns)} in common, asked for "
                f"{utc_text(first_ns if start_ns is None else start_ns)} to "
                f"{utc_text(last_ns if end_ns is None else end_ns)}; choose another span"
            )

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The whole recorded universe."""
        return recorded_instruments()

    @property
    def coins(self) -> tuple[str, ...]:
        """The coins that have a file, in the order given."""
        return tuple(track.coin for track in self._tracks)

    @property
    def start_ns(self) -> int:
        """First moment played."""
        return self._start_ns

    @property
    def end_ns(self) -> int:
        """Moment after the last tick."""
        return self._end_ns

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What a reader of results must know."""
        lines = [
            "prices follow candles: the path inside a bar is open, nearer extreme, farther "
            "extreme, close, with seeded noise",
            "displayed depth is drawn from the volume of recent closed bars and a seed; "
            "it is not a recorded book",
            "mark price is the middle of the spread, oracle price the last print",
        ]
        assumed = [track.coin for track in self._tracks if track.is_funding_assumed]
        if assumed:
            lines.append(
                f"funding of {', '.join(assumed)} is assumed from the price's own trend, "
                "not recorded"
            )
        for track in self._tracks:
            if track.gap_count:
                lines.append(f"candles of {track.coin} have {track.gap_count} gaps")
        return tuple(lines)

    def ticks(self) -> Iterator[MarketTick]:
        """Play the span, ordered by time; coins at the same moment keep the order of ``coins``."""
        return heapq.merge(
            *(track.ticks(self._start_ns, self._end_ns) for track in self._tracks),
            key=attrgetter("ts_ns"),
        )

    def candles_before(
        self, coin: str, interval_ns: int, end_ns: int, count: int
    ) -> tuple[Candle, ...]:
        """Return at most ``count`` candles that had closed by ``end_ns``, oldest first.

        Finer bars than the file holds cannot be told: the answer is then empty.
        """
        for track in self._tracks:
            if track.coin == coin:
                return track.candles_before(interval_ns, end_ns, count)
        raise KeyError(f"coin should be one of {', '.join(self.coins)}, was {coin!r}")


def assumed_funding(closes: Float64Array, bars_per_hour: float) -> Float64Array:
    """Assume the hourly funding rate that holds during each bar, from the bars before it.

    A candle file knows no spot price, so the premium is taken to be `PREMIUM_SHARE` of how far
    the mean close of the last hour lies from that of the last eight; the venue's formula turns it
    into a rate: ``F8h = premium + clamp(0.0001 - premium, -0.0005, 0.0005)``, an eighth of it per
    hour, capped at 4 % (venue documentation, Funding).

    Parameters
    ----------
    closes : float64[n]
        Closes, oldest first.
    bars_per_hour : float
        Above 0.
    """
    hour = max(1, round(bars_per_hour))
    short, long = _mean_before(closes, hour), _mean_before(closes, 8 * hour)
    premium = PREMIUM_SHARE * np.where(np.isnan(long), 0.0, short / long - 1.0)
    rate_8h = premium + np.clip(INTEREST_8H - premium, -CLAMP_8H, CLAMP_8H)
    rate_1h: Float64Array = np.clip(rate_8h / 8.0, -RATE_CAP_1H, RATE_CAP_1H)
    # The venue's rates have ten decimals.
    return rate_1h.round(10)


class _Track:
    """One coin's candles on its grid, and the ticks they become."""

    def __init__(
        self,
        instrument: Instrument,
        table: CandleTable,
        *,
        seed: int,
        ticks: int,
        funding: FundingTable | None,
    ) -> None:
        self.coin = instrument.coin
        self.gap_count = table.gap_count
        self.is_funding_assumed = funding is None
        self.first_ns = int(table.open_ns[0])
        self.last_ns = int(table.open_ns[-1]) + table.interval_ns
        self._asset, self._seed, self._ticks = instrument.asset, seed, ticks
        self._scale = instrument.px_scale
        self._interval_ns = table.interval_ns
        self._bars = _bars_on_grid(instrument, table)
        self._touch = _touch_lots(instrument, table)
        self._range = np.nan_to_num(
            _mean_before((self._bars.high - self._bars.low).astype(np.float64), RECENT_BARS)
        )
        bars_per_hour = NS_PER_HOUR / table.interval_ns
        self._rates = (
            assumed_funding(table.close, bars_per_hour)
            if funding is None
            else _recorded_rates(table.open_ns, funding)
        )

    def ticks(self, start_ns: int, end_ns: int) -> Iterator[MarketTick]:
        """Yield this coin's ticks within a span, one block of hours at a time.

        The first shows the market as it stood at the start, without prints, where there was one.
        """
        before: MarketTick | None = None
        for tick in self._block_ticks((start_ns - 1) // BLOCK_NS):
            if tick.ts_ns >= start_ns:
                break
            before = tick
        if before is not None:
            yield msgspec.structs.replace(before, ts_ns=start_ns, trades=())
        for block in range(start_ns // BLOCK_NS, (end_ns - 1) // BLOCK_NS + 1):
            for tick in self._block_ticks(block):
                if start_ns <= tick.ts_ns < end_ns:
                    yield tick

    def candles_before(self, interval_ns: int, end_ns: int, count: int) -> tuple[Candle, ...]:
        if interval_ns % self._interval_ns or count < 1:
            return ()
        end_ns -= end_ns % interval_ns
        low, high = np.searchsorted(self._bars.open_ns, (end_ns - count * interval_ns, end_ns))
        bars = self._bars
        rows = zip(
            bars.open_ns[low:high].tolist(),
            bars.open[low:high].tolist(),
            bars.high[low:high].tolist(),
            bars.low[low:high].tolist(),
            bars.close[low:high].tolist(),
            bars.lots[low:high].tolist(),
            strict=True,
        )
        return tuple(merge_candles([Candle(*row) for row in rows], interval_ns))

    def _block_ticks(self, block: int) -> Iterator[MarketTick]:
        edges = (block * BLOCK_NS, (block + 1) * BLOCK_NS)
        low, high = (int(i) for i in np.searchsorted(self._bars.open_ns, edges))
        if low == high:
            return iter(())
        rng = np.random.default_rng([self._seed, self._asset, block])
        bars = _slice(self._bars, low, high)
        paths = walk_bars(
            bars,
            interval_ns=self._interval_ns,
            px_scale=self._scale,
            ticks=self._ticks,
            rng=rng,
        )
        px = paths.px.ravel()
        before = int(self._bars.close[low - 1]) if low else int(px[0])
        moves = np.diff(px, prepend=before)
        is_buy = np.where(moves == 0, rng.random(px.size) < 0.5, moves > 0)
        books = draw_books(
            px,
            is_buy,
            np.repeat(self._touch[low:high], self._ticks),
            np.repeat(self._range[low:high], self._ticks),
            px_scale=self._scale,
            rng=rng,
        )
        prints = self._prints(bars, paths, is_buy, books)
        return self._tick_rows(paths, books, prints, self._rates[low:high])

    def _prints(
        self, bars: Bars, paths: BarPaths, is_buy: BoolArray, books: Books
    ) -> Iterator[tuple[MarketTrade, ...]]:
        """Print each tick's volume: mostly at its price, the rest across the spread.

        The counter print stays inside the bar. It follows the bar's opening print and precedes
        every other, so that open and close of the bar are the path's.
        """
        px, lots = paths.px.ravel(), paths.lots.ravel()
        other = np.where(is_buy, books.bid_px[:, 0], books.ask_px[:, 0])
        high, low = np.repeat(bars.high, self._ticks), np.repeat(bars.low, self._ticks)
        is_inside = (other >= low) & (other <= high) & (other > 0)
        counter = np.where(is_inside, (lots * COUNTER_SHARE).astype(np.int64), 0)
        columns = (px, lots - counter, other, counter, is_buy)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for i, (main_px, main_lots, other_px, other_lots, bought) in enumerate(rows):
            if main_lots == 0:
                yield ()
            elif other_lots == 0:
                yield ((main_px, main_lots, bought),)
            elif i % self._ticks == 0:
                yield ((main_px, main_lots, bought), (other_px, other_lots, not bought))
            else:
                yield ((other_px, other_lots, not bought), (main_px, main_lots, bought))

    def _tick_rows(
        self,
        paths: BarPaths,
        books: Books,
        prints: Iterator[tuple[MarketTrade, ...]],
        rates: Float64Array,
    ) -> Iterator[MarketTick]:
        coin = self.coin
        bid, ask = books.bid_px[:, 0], books.ask_px[:, 0]
        marks = np.where(bid > 0, (bid + ask) // 2, ask)
        rows = zip(
            paths.ts_ns.ravel().tolist(),
            books.bid_px.tolist(),
            books.bid_lots.tolist(),
            books.ask_px.tolist(),
            books.ask_lots.tolist(),
            prints,
            marks.tolist(),
            paths.px.ravel().tolist(),
            np.repeat(rates, self._ticks).tolist(),
            strict=True,
        )
        for ts_ns, bid_px, bid_lots, ask_px, ask_lots, trades, mark, oracle, rate in rows:
            bids = tuple(zip(bid_px, bid_lots, strict=True))
            if bid_px[-1] == 0:
                bids = tuple(level for level in bids if level[0] > 0)
            asks = tuple(zip(ask_px, ask_lots, strict=True))
            yield MarketTick(ts_ns, coin, bids, asks, trades, mark, oracle, rate)


def _slice(bars: Bars, low: int, high: int) -> Bars:
    fields = {name: getattr(bars, name)[low:high] for name in bars.__struct_fields__}
    return msgspec.structs.replace(bars, **fields)


def _bars_on_grid(instrument: Instrument, table: CandleTable) -> Bars:
    """Round prices to the nearest grid price; rounding keeps their order within a bar."""
    scale = instrument.px_scale
    return Bars(
        open_ns=table.open_ns,
        open=nearest_on_grid(table.open, scale),
        high=nearest_on_grid(table.high, scale),
        low=nearest_on_grid(table.low, scale),
        close=nearest_on_grid(table.close, scale),
        lots=np.rint(table.volume * instrument.lots_scale).astype(np.int64),
    )


def _touch_lots(instrument: Instrument, table: CandleTable) -> Float64Array:
    minutes = table.interval_ns / (60 * 1e9)
    recent = _mean_before(table.volume, RECENT_BARS) / minutes * TOUCH_VOLUME_SHARE
    fallback = TOUCH_FALLBACK_USDC / table.open[0]
    coins = np.where(np.isnan(recent), fallback, recent)
    lots: Float64Array = np.maximum(1.0, coins * instrument.lots_scale)
    return lots


def _mean_before(values: Float64Array, count: int) -> Float64Array:
    """Mean of up to ``count`` values before each one; ``nan`` for the first."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    here = np.arange(values.size)
    first = np.maximum(0, here - count)
    with np.errstate(invalid="ignore"):
        return np.asarray((total[here] - total[first]) / (here - first), dtype=np.float64)


def _recorded_rates(open_ns: Int64Array, funding: FundingTable) -> Float64Array:
    """The rate in force during a bar is the one paid at the end of its hour.

    Where the file has no row for that hour, the last one before it holds.
    """
    hour_end = open_ns - open_ns % NS_PER_HOUR + NS_PER_HOUR
    # Settlement stamps lie some milliseconds after the full hour.
    rows = np.searchsorted(funding.ts_ns - funding.ts_ns % NS_PER_HOUR, hour_end, side="right") - 1
    rates: Float64Array = np.where(rows >= 0, funding.rate[np.maximum(rows, 0)], 0.0)
    return rates
