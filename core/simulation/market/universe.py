"""The listed markets: Hyperliquid's recorded metadata, as instruments and as the wire shows it.

Asset ids are positions in the recorded universe, so orders signed for the simulated venue name
the same markets as on mainnet. It knows no prices.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from core.model.errors import DataFileError
from core.model.instrument import Instrument, MarginTier, micro_from_text

SAMPLE_DIR = Path(__file__).parent / "sample"
META_PATH = SAMPLE_DIR / "meta.json"
SINGLE_TIER_ID_MAX = 49
"""Margin table ids up to this name a table of one tier with that leverage (venue, margin tiers)."""


@cache
def recorded_meta() -> dict[str, Any]:
    """Return the recorded answer of the ``meta`` query; callers must not change it.

    Raises
    ------
    DataFileError
        If the shipped file is missing or damaged.
    """
    try:
        meta = msgspec.json.decode(META_PATH.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise DataFileError(
            f"{META_PATH} should hold the recorded metadata, was unreadable ({error}); "
            "install the package again"
        ) from error
    # Today's answers name the collateral token; the recording of 2025-08 predates that key.
    return {**meta, "collateralToken": 0}


@cache
def recorded_instruments() -> tuple[Instrument, ...]:
    """Return every market of the recorded universe with its grid, leverage and margin tiers."""
    meta = recorded_meta()
    tables = {int(key): table for key, table in meta["marginTables"]}
    return tuple(_instrument(asset, row, tables) for asset, row in enumerate(meta["universe"]))


def instrument_of(coin: str) -> Instrument:
    """Return one market of the recorded universe.

    Raises
    ------
    DataFileError
        If Hyperliquid did not list the coin when the metadata was recorded.
    """
    for instrument in recorded_instruments():
        if instrument.coin == coin:
            return instrument
    near = [i.coin for i in recorded_instruments() if i.coin.lower() == coin.lower()]
    hint = f"did you mean {near[0]}" if near else "names are those of Hyperliquid's perpetuals"
    raise DataFileError(f"coin should be one of the recorded universe, was {coin!r}; {hint}")


def _instrument(asset: int, row: dict[str, Any], tables: dict[int, Any]) -> Instrument:
    table_id = int(row["marginTableId"])
    table = tables.get(table_id)
    if table is None:
        assert table_id <= SINGLE_TIER_ID_MAX, f"invariant: margin table known, was {table_id}"
        tiers: tuple[MarginTier, ...] = (MarginTier(0, table_id),)
    else:
        tiers = tuple(
            MarginTier(micro_from_text(tier["lowerBound"]), int(tier["maxLeverage"]))
            for tier in table["marginTiers"]
        )
    return Instrument(
        coin=row["name"],
        asset=asset,
        sz_decimals=int(row["szDecimals"]),
        leverage_max=int(row["maxLeverage"]),
        is_delisted=bool(row.get("isDelisted", False)),
        is_isolated_only=bool(row.get("onlyIsolated", False)),
        margin_tiers=tiers,
    )
