"""Candle files in, checked arrays out: nothing that is malformed gets past this module.

Parquet and CSV with the columns ``ts_ms, open, high, low, close, volume``. Every refusal names
the file, the row and the reason. It knows no instrument and no grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from core.model.errors import DataFileError
from core.model.time import NS_PER_MIN, NS_PER_MS

if TYPE_CHECKING:
    import polars as pl

CANDLE_COLUMNS = ("ts_ms", "open", "high", "low", "close", "volume")
FUNDING_COLUMNS = ("ts_ms", "rate")
ROWS_MAX = 10_000_000
TS_MS_MIN = 1_000_000_000_000
"""2001-09-09; a smaller number is a time in seconds."""
TS_MS_MAX = 10_000_000_000_000

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


class CandleTable(msgspec.Struct, frozen=True):
    """Checked candles of one coin, oldest first; prices and volumes as the file gives them."""

    path: Path
    interval_ns: int
    gap_count: int
    open_ns: Int64Array
    open: Float64Array
    high: Float64Array
    low: Float64Array
    close: Float64Array
    volume: Float64Array


class FundingTable(msgspec.Struct, frozen=True):
    """Checked hourly funding rates of one coin; ``ts_ns`` is when each was paid."""

    ts_ns: Int64Array
    rate: Float64Array


def read_table(path: Path, wanted: Sequence[str]) -> pl.DataFrame:
    """Read a Parquet or CSV file that must have the ``wanted`` columns and at least two rows.

    Raises
    ------
    DataFileError
        If it is missing, damaged, or lacks columns.
    """
    import polars as pl

    if not path.is_file():
        raise DataFileError(f"{path} should be a market data file, was missing; check the path")
    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
        elif path.suffix == ".csv":
            frame = pl.read_csv(path, infer_schema_length=10_000)
        else:
            raise DataFileError(
                f"{path} should end in .parquet or .csv, ended in {path.suffix!r}; convert it"
            )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataFileError(
            f"{path} should be a readable {path.suffix[1:]} file, was damaged or truncated: "
            f"{str(error).splitlines()[0]}; fetch it again"
        ) from error
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise DataFileError(
            f"{path} should have the columns {', '.join(wanted)}, lacks {', '.join(missing)} "
            f"(has {', '.join(frame.columns)}); rename or add them"
        )
    if not 2 <= frame.height <= ROWS_MAX:
        raise DataFileError(f"{path} should have 2 to {ROWS_MAX} rows, has {frame.height}")
    return frame


def read_candles(path: Path) -> CandleTable:
    """Read and check one candle file.

    Parameters
    ----------
    path : Path
        ``.parquet`` or ``.csv`` with `CANDLE_COLUMNS`; ``ts_ms`` is the open of the bar. The
        interval is the smallest step between two rows, at least one minute; missing bars are
        allowed and counted.

    Raises
    ------
    DataFileError
        If the file is missing, damaged, lacks columns, or any row is not a candle.
    """
    frame = read_table(path, CANDLE_COLUMNS)
    columns = {name: _column(path, frame, name) for name in CANDLE_COLUMNS}
    ts_ms = _times(path, columns["ts_ms"])
    _check_rows(path, columns)
    steps = np.diff(ts_ms)
    interval_ms = int(steps.min())
    if interval_ms * NS_PER_MS % NS_PER_MIN:
        row = int(steps.argmin()) + 1
        raise _refusal(path, row, f"bars should be whole minutes apart, were {interval_ms} ms")
    off = np.nonzero((ts_ms - ts_ms[0]) % interval_ms)[0]
    if off.size:
        raise _refusal(
            path,
            int(off[0]),
            f"ts_ms should lie on the {interval_ms // 60_000} min grid of the file, "
            f"was {int(ts_ms[off[0]])}",
        )
    return CandleTable(
        path=path,
        interval_ns=interval_ms * NS_PER_MS,
        gap_count=int(np.count_nonzero(steps > interval_ms)),
        open_ns=ts_ms * NS_PER_MS,
        **{name: columns[name] for name in CANDLE_COLUMNS[1:]},
    )


def read_funding(path: Path) -> FundingTable:
    """Read and check one file of hourly funding rates (``ts_ms, rate``).

    Raises
    ------
    DataFileError
        As `read_candles`; also if a rate is beyond the venue's cap of 4 % an hour.
    """
    frame = read_table(path, FUNDING_COLUMNS)
    rate = _column(path, frame, "rate")
    ts_ms = _times(path, _column(path, frame, "ts_ms"))
    bad = np.nonzero(np.abs(rate) > 0.04)[0]
    if bad.size:
        raise _refusal(
            path, int(bad[0]), f"rate should be within 4 % an hour, was {float(rate[bad[0]])!r}"
        )
    return FundingTable(ts_ns=ts_ms * NS_PER_MS, rate=rate)


def _column(path: Path, frame: pl.DataFrame, name: str) -> Float64Array:
    import polars as pl

    series = frame[name]
    if series.dtype == pl.String:
        # One stray word turns a whole CSV column into text: read it again and find the word.
        numbers = series.cast(pl.Float64, strict=False)
        words = numbers.is_null() & series.is_not_null()
        if words.any():
            row = int(words.arg_max() or 0)
            raise _refusal(path, row, f"{name} should be a number, was {series[row]!r}")
        series = numbers
    if not series.dtype.is_numeric():
        raise _refusal(path, 0, f"{name} should be a number, was {series[0]!r}")
    nulls = series.is_null()
    if nulls.any():
        raise _refusal(path, int(nulls.arg_max() or 0), f"{name} should be a number, was empty")
    values: Float64Array = series.to_numpy().astype(np.float64)
    bad_rows = np.nonzero(~np.isfinite(values))[0]
    if bad_rows.size:
        row = int(bad_rows[0])
        raise _refusal(path, row, f"{name} should be finite, was {float(values[row])!r}")
    return values


def _times(path: Path, values: Float64Array) -> Int64Array:
    """Milliseconds stay exact in float64 (below 2^53); check their range and their order."""
    bad = np.nonzero((values < TS_MS_MIN) | (values > TS_MS_MAX) | (values % 1 != 0))[0]
    if bad.size:
        row = int(bad[0])
        raise _refusal(
            path, row, f"ts_ms should be Unix milliseconds, was {values[row]!r}; seconds, perhaps?"
        )
    ts_ms = values.astype(np.int64)
    wrong = np.nonzero(np.diff(ts_ms) <= 0)[0]
    if wrong.size:
        row = int(wrong[0]) + 1
        before, here = int(ts_ms[row - 1]), int(ts_ms[row])
        what = "twice" if before == here else f"after {before}"
        raise _refusal(path, row, f"ts_ms should rise from row to row, was {here} {what}")
    return ts_ms


def _check_rows(path: Path, columns: dict[str, Float64Array]) -> None:
    opens, highs, lows = columns["open"], columns["high"], columns["low"]
    closes, volumes = columns["close"], columns["volume"]
    rules = (
        (lows <= 0, "prices should be above 0, low was {low!r}"),
        (volumes < 0, "volume should be at least 0, was {volume!r}"),
        (
            highs < np.maximum(np.maximum(opens, closes), lows),
            "high should be the highest price, was {high!r} of "
            "open {open!r}, low {low!r}, close {close!r}",
        ),
        (
            lows > np.minimum(opens, closes),
            "low should be the lowest price, was {low!r} of open {open!r}, close {close!r}",
        ),
    )
    for mask, text in rules:
        bad = np.nonzero(mask)[0]
        if bad.size:
            row = int(bad[0])
            values = {name: float(column[row]) for name, column in columns.items()}
            raise _refusal(path, row, text.format(**values))


def _refusal(path: Path, row: int, reason: str) -> DataFileError:
    """Name the place as people count: rows from 1, for CSV also the line below the header."""
    line = f" (line {row + 2})" if path.suffix == ".csv" else ""
    return DataFileError(f"{path}, row {row + 1}{line}: {reason}; correct or remove that row")
