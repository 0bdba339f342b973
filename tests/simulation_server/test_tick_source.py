"""Recorded ticks: the rebuilt book is the recorded one, on the venue's grid."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from core.model.errors import DataFileError
from core.simulation.market.tick_source import TickSource, on_grid
from core.simulation.market.universe import SAMPLE_DIR, instrument_of

TICKS = SAMPLE_DIR / "ticks"
BTC = instrument_of("BTC")


@pytest.fixture(scope="module")
def source() -> TickSource:
    return TickSource()


def test_touch_equals_the_recorded_best_prices(source: TickSource) -> None:
    """The exchange's own best bid and offer at the same update id, rounded like the book."""
    bbo = pl.read_parquet(TICKS / "BTC_2024-08-08_bbo.parquet")
    recorded = {
        row["update_id"]: (
            on_grid(BTC, round(row["bid_px"] * 10), is_up=False),
            on_grid(BTC, round(row["ask_px"] * 10), is_up=True),
        )
        for row in bbo.iter_rows(named=True)
    }
    ids = [update.last_id for update in source._updates]
    common = 0
    for last_id, tick in zip(ids, source.ticks(), strict=True):
        if last_id in recorded:
            common += 1
            assert (tick.bids[0][0], tick.asks[0][0]) == recorded[last_id]
    assert common > 100


def test_every_trade_is_played_once_and_in_order(source: TickSource) -> None:
    trades = pl.read_parquet(TICKS / "BTC_2024-08-08_trades.parquet")
    last_ms = source.end_ns // 1_000_000
    wanted = trades.filter(pl.col("ts_ms") <= last_ms)["sz"].sum()
    lots = sum(lots for tick in source.ticks() for _, lots, _ in tick.trades)
    assert lots == round(wanted * BTC.lots_scale)


def test_books_are_sound(source: TickSource) -> None:
    last_ns = 0
    for tick in source.ticks():
        assert tick.ts_ns >= last_ns
        last_ns = tick.ts_ns
        assert tick.bids[0][0] < tick.asks[0][0]
        for px, lots in (*tick.bids, *tick.asks):
            assert BTC.is_px_on_grid(px)
            assert lots > 0
    assert source.candles_before("BTC", 60_000_000_000, source.end_ns, 5) == ()


def test_missing_update_is_refused(tmp_path: Path) -> None:
    frame = pl.read_parquet(TICKS / "BTC_2024-08-08_l2_updates.parquet")
    ids = frame.filter(pl.col("kind") == "diff")["last_id"].unique(maintain_order=True)
    path = tmp_path / "l2.parquet"
    frame.filter(pl.col("last_id") != ids[1_000]).write_parquet(path)
    with pytest.raises(DataFileError, match="updates are missing"):
        TickSource("BTC", path)


def test_file_without_snapshot_is_refused(tmp_path: Path) -> None:
    frame = pl.read_parquet(TICKS / "BTC_2024-08-08_l2_updates.parquet")
    path = tmp_path / "l2.parquet"
    frame.filter(pl.col("kind") == "diff").write_parquet(path)
    with pytest.raises(DataFileError, match="one depth snapshot, holds 0"):
        TickSource("BTC", path)
