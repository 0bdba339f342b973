"""Recorded trades without a book: every print is played, and the drawn book knows no future."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from core.model.errors import DataFileError
from core.model.time import NS_PER_S
from core.simulation.market.trade_source import TradeSource
from core.simulation.market.universe import SAMPLE_DIR, instrument_of

FILE = SAMPLE_DIR / "ticks" / "BTC_2024-08-08_trades.parquet"
BTC = instrument_of("BTC")


def written(path: Path, rows: list[tuple[object, object, object, object]]) -> Path:
    file = path / "BTC.csv"
    lines = ["ts_ms,px,sz,side", *(",".join(map(str, row)) for row in rows)]
    file.write_text("\n".join(lines) + "\n")
    return file


def test_every_trade_is_played_once_at_its_price_and_second() -> None:
    trades = pl.read_parquet(FILE)
    source = TradeSource({"BTC": FILE})
    ticks = list(source.ticks())
    played = sum(lots for tick in ticks for _, lots, _ in tick.trades)
    assert played == round(trades["sz"].sum() * BTC.lots_scale)
    assert source.start_ns == ticks[0].ts_ns and source.end_ns == ticks[-1].ts_ns + 1
    seconds = sorted({ts_ms // 1_000 for ts_ms in trades["ts_ms"].to_list()})
    assert [tick.ts_ns for tick in ticks] == [(second + 1) * NS_PER_S for second in seconds]


def test_the_drawn_book_is_on_the_grid_and_stands_at_the_last_print() -> None:
    for tick in TradeSource({"BTC": FILE}).ticks():
        assert tick.bids[0][0] < tick.asks[0][0]
        px, _, is_buy = tick.trades[-1]
        assert px == (tick.asks if is_buy else tick.bids)[0][0]
        for level_px, lots in (*tick.bids, *tick.asks):
            assert BTC.is_px_on_grid(level_px) and lots > 0


def test_hiding_the_future_changes_no_past_tick(tmp_path: Path) -> None:
    half = tmp_path / "BTC.parquet"
    trades = pl.read_parquet(FILE).sort("ts_ms")
    cut_ms = trades["ts_ms"][len(trades) // 2] // 1_000 * 1_000
    trades.filter(pl.col("ts_ms") < cut_ms).write_parquet(half)
    whole = list(TradeSource({"BTC": FILE}).ticks())
    past = list(TradeSource({"BTC": half}).ticks())
    assert 10 < len(past) < len(whole)
    assert past == whole[: len(past)]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ((1_723_161_256_322, 0, 1, "B"), "prices above 0"),
        ((1_723_161_256_322, "", 1, "B"), "prices above 0"),
        ((1_723_161_256_322, 1e12, 1, "B"), "prices above 0"),
        ((1_723_161_256_322, 60_000, 1, "buy"), "sides B"),
        ((1_723_161_256, 60_000, 1, "B"), "milliseconds"),
        (("", 60_000, 1, "B"), "milliseconds"),
    ],
)
def test_bad_rows_are_refused_with_what_was_expected(
    tmp_path: Path, row: tuple[object, object, object, object], text: str
) -> None:
    good = (1_723_161_256_322, 60_000.0, 0.5, "A")
    with pytest.raises(DataFileError, match=text):
        TradeSource({"BTC": written(tmp_path, [good, good, row])})


def test_a_file_of_dust_is_refused(tmp_path: Path) -> None:
    dust = (1_723_161_256_322, 60_000.0, 1e-9, "A")
    with pytest.raises(DataFileError, match="at least one lot"):
        TradeSource({"BTC": written(tmp_path, [dust, dust])})
