"""A market from recorded ticks: depth snapshot, depth updates and trades of one coin.

The book is rebuilt update by update and shown on Hyperliquid's coarser price grid: bids are
rounded down, asks up, and sizes that meet on one grid price are added. Nothing is invented but
funding. It holds the two shipped minutes of BTC by default.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from core.model.errors import DataFileError
from core.model.instrument import Instrument
from core.model.market import Candle, Level
from core.model.time import NS_PER_MS
from core.simulation.market.candle_files import TS_MS_MAX, TS_MS_MIN, read_table
from core.simulation.market.ticks import MarketTick, MarketTrade
from core.simulation.market.universe import SAMPLE_DIR, instrument_of, recorded_instruments

L2_COLUMNS = ("ts_ms", "kind", "last_id", "prev_last_id", "side", "px", "sz")
TRADE_COLUMNS = ("ts_ms", "px", "sz", "side")
SIDES = ("B", "A")
UNITS_MAX = 1e9
"""No price or size reaches this many USDC or coins."""
LEVELS = 10
INTEREST_RATE_1H = 0.0000125
"""Hourly funding while the premium is small (venue documentation, Funding)."""
_SAMPLE_L2 = SAMPLE_DIR / "ticks" / "BTC_2024-08-08_l2_updates.parquet"
_SAMPLE_TRADES = SAMPLE_DIR / "ticks" / "BTC_2024-08-08_trades.parquet"


class _Update(msgspec.Struct, frozen=True, gc=False):
    """One message of the recording: all levels it sets at one moment."""

    ts_ms: int
    last_id: int
    prev_last_id: int
    is_snapshot: bool
    levels: tuple[tuple[bool, int, int], ...]
    """(is a bid, price units, lots; 0 lots removes the level)"""


class TickSource:
    """Play one coin's recorded book and trades.

    Parameters
    ----------
    coin : str
        Name in the recorded universe.
    l2_path, trades_path : Path
        Files with `L2_COLUMNS` and `TRADE_COLUMNS`.

    Raises
    ------
    DataFileError
        If a file is unusable, holds no snapshot, or updates are missing.
    """

    def __init__(
        self, coin: str = "BTC", l2_path: Path = _SAMPLE_L2, trades_path: Path = _SAMPLE_TRADES
    ) -> None:
        self._instrument = instrument_of(coin)
        self._updates = _read_updates(l2_path, self._instrument)
        self._trades = read_trades(trades_path, self._instrument)
        self._start_ns = self._updates[0].ts_ms * NS_PER_MS
        self._end_ns = self._updates[-1].ts_ms * NS_PER_MS + 1

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The whole recorded universe."""
        return recorded_instruments()

    @property
    def coins(self) -> tuple[str, ...]:
        """The one coin of the recording."""
        return (self._instrument.coin,)

    @property
    def start_ns(self) -> int:
        """Moment of the depth snapshot."""
        return self._start_ns

    @property
    def end_ns(self) -> int:
        """Moment after the last tick."""
        return self._end_ns

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What a reader of results must know."""
        return (
            "book and trades are recorded Binance perpetual ticks on Hyperliquid's coarser price "
            "grid: bids rounded down, asks up",
            "mark and oracle price are the middle of the spread; funding is the interest part "
            "alone, 0.00125 % an hour",
        )

    def ticks(self) -> Iterator[MarketTick]:
        """Play the recording: one tick per depth update, with the trades since the one before."""
        ladder = _Ladder(self._instrument)
        trades, next_trade = self._trades, 0
        for update in self._updates:
            ladder.apply(update)
            first = next_trade
            while next_trade < len(trades) and trades[next_trade][0] <= update.ts_ms:
                next_trade += 1
            bids, asks = ladder.best()
            if not bids or not asks:
                continue
            middle = (bids[0][0] + asks[0][0]) // 2
            yield MarketTick(
                ts_ns=update.ts_ms * NS_PER_MS,
                coin=self._instrument.coin,
                bids=bids,
                asks=asks,
                trades=tuple(trade for _, trade in trades[first:next_trade]),
                mark_px=middle,
                oracle_px=middle,
                funding_rate_1h=INTEREST_RATE_1H,
            )

    def candles_before(
        self, coin: str, interval_ns: int, end_ns: int, count: int
    ) -> tuple[Candle, ...]:
        """Return no candles: the recording has no history before its first tick."""
        return ()


class _Ladder:
    """Both sides of the book on the venue's grid, kept up to date level by level.

    Several recorded prices share one grid price, so the recorded sizes are kept beside the sums.
    """

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._raw: dict[tuple[bool, int], int] = {}
        self._sums: dict[bool, dict[int, int]] = {True: {}, False: {}}

    def apply(self, update: _Update) -> None:
        if update.is_snapshot:
            self._raw.clear()
            self._sums = {True: {}, False: {}}
        for is_bid, px, lots in update.levels:
            change = lots - self._raw.pop((is_bid, px), 0)
            if lots:
                self._raw[is_bid, px] = lots
            grid_px = on_grid(self._instrument, px, is_up=not is_bid)
            side = self._sums[is_bid]
            total = side.get(grid_px, 0) + change
            assert total >= 0, f"invariant: size at a level at least 0, was {total}"
            if total:
                side[grid_px] = total
            else:
                side.pop(grid_px, None)

    def best(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Return the best levels of both sides, best first."""
        bids, asks = self._sums[True], self._sums[False]
        best_bids = sorted(bids, reverse=True)[:LEVELS]
        best_asks = sorted(asks)[:LEVELS]
        return (
            tuple((px, bids[px]) for px in best_bids),
            tuple((px, asks[px]) for px in best_asks),
        )


def on_grid(instrument: Instrument, px: int, *, is_up: bool) -> int:
    """Round price units to the venue's grid, in the direction named."""
    tick = instrument.tick_units_at(px)
    floor = px - px % tick
    return floor + tick if is_up and floor != px else floor


def _read_updates(path: Path, instrument: Instrument) -> tuple[_Update, ...]:
    """Read the snapshot and the updates that follow it without a hole."""
    frame = read_table(path, L2_COLUMNS)
    columns = [frame[name].to_list() for name in L2_COLUMNS]
    groups: dict[tuple[str, int], list[tuple[bool, int, int]]] = {}
    heads: dict[tuple[str, int], tuple[int, int]] = {}
    for ts_ms, kind, last_id, prev_id, side, px, sz in zip(*columns, strict=True):
        _check_time(path, ts_ms)
        key = (kind, last_id)
        heads.setdefault(key, (ts_ms, prev_id))
        groups.setdefault(key, []).append((side == "b", *_units(path, instrument, px, sz)))
    snapshots = [key for key in heads if key[0] == "snapshot"]
    if len(snapshots) != 1:
        raise DataFileError(f"{path} should hold one depth snapshot, holds {len(snapshots)}")
    base = snapshots[0]
    updates = [_Update(heads[base][0], base[1], -1, True, tuple(groups[base]))]
    for key, (ts_ms, prev_id) in heads.items():
        if key == base or key[1] <= base[1]:
            continue
        before = updates[-1]
        # The first update after a snapshot may begin before it; later ones must join on.
        if not before.is_snapshot and prev_id != before.last_id:
            raise DataFileError(
                f"{path} should continue update {before.last_id}, continues {prev_id}: "
                "updates are missing; fetch the file again"
            )
        stamp = max(ts_ms, before.ts_ms)
        updates.append(_Update(stamp, key[1], prev_id, False, tuple(groups[key])))
    return tuple(updates)


def read_trades(path: Path, instrument: Instrument) -> tuple[tuple[int, MarketTrade], ...]:
    """Read a file of `TRADE_COLUMNS`: (milliseconds, print on the grid), oldest first.

    Trades of less than half a lot are left out.

    Raises
    ------
    DataFileError
        If the file is unusable, or a price, size or side is none.
    """
    frame = read_table(path, TRADE_COLUMNS)
    rows = []
    for ts_ms, px, sz, side in zip(*(frame[name].to_list() for name in TRADE_COLUMNS), strict=True):
        if side not in SIDES:
            raise DataFileError(f"{path} should hold sides B (buy) or A (sell), held {side!r}")
        units, lots = _units(path, instrument, px, sz)
        _check_time(path, ts_ms)
        is_buy = side == "B"
        if lots:
            rows.append((ts_ms, (on_grid(instrument, units, is_up=is_buy), lots, is_buy)))
    rows.sort(key=lambda row: row[0])
    return tuple(rows)


def _check_time(path: Path, ts_ms: object) -> None:
    if not isinstance(ts_ms, int) or not TS_MS_MIN <= ts_ms <= TS_MS_MAX:
        raise DataFileError(
            f"{path} should hold times in milliseconds since 1970, as whole numbers, held {ts_ms!r}"
        )


def _units(path: Path, instrument: Instrument, px: object, sz: object) -> tuple[int, int]:
    if not (isinstance(px, int | float) and isinstance(sz, int | float)) or not (
        0 < px < UNITS_MAX and 0 <= sz < UNITS_MAX
    ):
        raise DataFileError(f"{path} should hold prices above 0 and sizes, held {px!r} x {sz!r}")
    return round(px * instrument.px_scale), round(sz * instrument.lots_scale)
