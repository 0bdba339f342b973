"""Malformed market data are refused with file, row and reason; nothing is guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from core.model.errors import DataFileError, ExitCode
from core.simulation.market.candle_files import read_candles, read_funding
from tests.simulation_server.venue import CANDLE_HEADER, write_candles

T0 = 1_746_403_200_000
GOOD: list[tuple[Any, ...]] = [
    (T0, 10.0, 12.0, 9.0, 11.0, 5.0),
    (T0 + 60_000, 11.0, 11.0, 11.0, 11.0, 0.0),
    (T0 + 120_000, 11.0, 13.0, 10.0, 12.0, 7.0),
]


def with_cell(row: int, column: int, value: Any) -> list[tuple[Any, ...]]:
    rows = [list(r) for r in GOOD]
    rows[row][column] = value
    return [tuple(r) for r in rows]


def test_good_csv_and_parquet_read_the_same(tmp_path: Path) -> None:
    csv = read_candles(write_candles(tmp_path / "a.csv", GOOD))
    names = ["ts_ms", "open", "high", "low", "close", "volume"]
    pl.DataFrame(GOOD, schema=names, orient="row").write_parquet(tmp_path / "a.parquet")
    parquet = read_candles(tmp_path / "a.parquet")
    assert csv.interval_ns == parquet.interval_ns == 60_000_000_000
    for name in ("open_ns", "open", "high", "low", "close", "volume"):
        assert getattr(csv, name).tolist() == getattr(parquet, name).tolist()
    assert csv.gap_count == 0


def test_gaps_are_counted_not_filled(tmp_path: Path) -> None:
    rows = [*GOOD, (T0 + 300_000, 12.0, 12.0, 12.0, 12.0, 1.0)]
    table = read_candles(write_candles(tmp_path / "a.csv", rows))
    assert table.gap_count == 1
    assert table.open_ns.size == 4


@pytest.mark.parametrize(
    ("rows", "row", "reason"),
    [
        (with_cell(1, 4, "nan"), 2, "close should be finite"),
        (with_cell(1, 5, ""), 2, "volume should be a number, was empty"),
        (with_cell(2, 2, "high?"), 3, "high should be a number, was 'high?'"),
        (with_cell(1, 0, T0), 2, f"was {T0} twice"),
        (with_cell(2, 0, T0 + 30_000), 3, f"was {T0 + 30_000} after {T0 + 60_000}"),
        (with_cell(2, 0, T0 + 90_000), 3, "bars should be whole minutes apart, were 30000 ms"),
        (with_cell(0, 0, T0 // 1000), 1, "should be Unix milliseconds"),
        (with_cell(0, 2, 10.5), 1, "high should be the highest price, was 10.5"),
        (with_cell(2, 3, 11.5), 3, "low should be the lowest price, was 11.5"),
        (with_cell(0, 3, -1.0), 1, "prices should be above 0"),
        (with_cell(0, 5, -2.0), 1, "volume should be at least 0, was -2.0"),
    ],
)
def test_bad_rows_are_named(
    tmp_path: Path, rows: list[tuple[Any, ...]], row: int, reason: str
) -> None:
    path = write_candles(tmp_path / "bad.csv", rows)
    with pytest.raises(DataFileError) as caught:
        read_candles(path)
    text = str(caught.value)
    assert text.startswith(f"{path}, row {row} (line {row + 1}): ")
    assert reason in text
    assert caught.value.exit_code is ExitCode.DATA_FILE


def test_off_grid_bar_is_named(tmp_path: Path) -> None:
    rows = [
        *GOOD,
        (T0 + 210_000, 12.0, 12.0, 12.0, 12.0, 1.0),
        (T0 + 270_000, 12.0, 12.0, 12.0, 12.0, 1.0),
    ]
    with pytest.raises(DataFileError, match=r"row 4 .*should lie on the 1 min grid"):
        read_candles(write_candles(tmp_path / "a.csv", rows))


def test_missing_column_is_named_with_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ts_ms,open,high,low,last\n1,1,1,1,1\n2,1,1,1,1\n")
    with pytest.raises(DataFileError, match=r"lacks close, volume \(has ts_ms, open, high"):
        read_candles(path)


def test_truncated_parquet_is_refused(tmp_path: Path) -> None:
    names = ["ts_ms", "open", "high", "low", "close", "volume"]
    path = tmp_path / "a.parquet"
    pl.DataFrame(GOOD, schema=names, orient="row").write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataFileError, match="was damaged or truncated"):
        read_candles(path)


def test_parquet_with_null_names_the_row_without_a_line(tmp_path: Path) -> None:
    names = ["ts_ms", "open", "high", "low", "close", "volume"]
    path = tmp_path / "a.parquet"
    pl.DataFrame(with_cell(1, 1, None), schema=names, orient="row").write_parquet(path)
    with pytest.raises(DataFileError, match=r"a.parquet, row 2: open should be a number"):
        read_candles(path)


def test_missing_file_wrong_ending_and_too_short(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="was missing; check the path"):
        read_candles(tmp_path / "none.csv")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(DataFileError, match=r"should end in .parquet or .csv"):
        read_candles(tmp_path / "a.json")
    (tmp_path / "a.csv").write_text(CANDLE_HEADER + "1746403200000,1,1,1,1,1\n")
    with pytest.raises(DataFileError, match="should have 2 to"):
        read_candles(tmp_path / "a.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataFileError, match="damaged or truncated"):
        read_candles(tmp_path / "empty.csv")


def test_funding_rates_beyond_the_cap_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("ts_ms,rate\n1746403200012,0.00001\n1746406800040,0.05\n")
    with pytest.raises(DataFileError, match=r"row 2 .*within 4 % an hour, was 0.05"):
        read_funding(path)
