"""The listed markets: Hyperliquid's recorded metadata, as instruments and as the wire shows it.

Asset ids of perpetuals are positions in the recorded universe, those of spot pairs follow from
their own index, so orders signed for the simulated venue name the same markets as on mainnet. It
knows no prices.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from core.model.errors import DataFileError
from core.model.instrument import Instrument, MarginTier, micro_from_text
from core.simulation.venue.records import USDC, Token

_Shape = TypeVar("_Shape")

SAMPLE_DIR = Path(__file__).parent / "sample"
META_PATH = SAMPLE_DIR / "meta.json"
SPOT_META_PATH = SAMPLE_DIR / "spot_meta.json"
SPOT_ASSET_BASE = 10_000
"""Asset id of spot pair 0 (venue documentation, asset ids)."""
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
    # Today's answers name the collateral token; the recording of 2025-08 predates that key.
    return {**read_answer(META_PATH, dict[str, Any]), "collateralToken": 0}


def read_answer(path: Path, shape: type[_Shape]) -> _Shape:
    """Return a shipped answer of the venue.

    Raises
    ------
    DataFileError
        If the file is missing or damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except (OSError, msgspec.DecodeError) as error:
        raise DataFileError(
            f"{path} should hold the recorded metadata, was unreadable ({error}); "
            "install the package again"
        ) from error


@cache
def recorded_instruments() -> tuple[Instrument, ...]:
    """Return every market of the recorded universe with its grid, leverage and margin tiers."""
    meta = recorded_meta()
    tables = {int(key): table for key, table in meta["marginTables"]}
    return tuple(_instrument(asset, row, tables) for asset, row in enumerate(meta["universe"]))


@cache
def recorded_spot_meta() -> dict[str, Any]:
    """Return the recorded answer of the ``spotMeta`` query; callers must not change it.

    Raises
    ------
    DataFileError
        If the shipped file is missing or damaged.
    """
    return read_answer(SPOT_META_PATH, dict[str, Any])


@cache
def recorded_tokens() -> tuple[Token, ...]:
    """Return every spot token of the recorded universe, in index order."""
    rows = sorted(recorded_spot_meta()["tokens"], key=lambda row: int(row["index"]))
    return tuple(
        Token(
            index=int(row["index"]),
            name=row["name"],
            token_id=row["tokenId"],
            sz_decimals=int(row["szDecimals"]),
            wei_decimals=int(row["weiDecimals"]),
        )
        for row in rows
    )


@cache
def recorded_spot_bases() -> dict[str, Token]:
    """Return the base token of every recorded USDC-quoted pair, by coin, in asset order.

    Callers must not change it. Pairs with another quote are left out: the simulated venue does
    not trade them.
    """
    tokens = {token.index: token for token in recorded_tokens()}
    rows = sorted(recorded_spot_meta()["universe"], key=lambda row: int(row["index"]))
    return {row["name"]: tokens[row["tokens"][0]] for row in rows if row["tokens"][1] == USDC}


@cache
def recorded_spot_instruments() -> tuple[Instrument, ...]:
    """Return every recorded USDC-quoted spot pair, in asset order.

    The asset id follows from the row's ``index``, not from its position: dead pairs are missing
    from the recorded list. Precision is the base token's.
    """
    indexes = {row["name"]: int(row["index"]) for row in recorded_spot_meta()["universe"]}
    return tuple(
        Instrument(
            coin=coin,
            asset=SPOT_ASSET_BASE + indexes[coin],
            sz_decimals=base.sz_decimals,
            is_spot=True,
        )
        for coin, base in recorded_spot_bases().items()
    )


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
        is_margin_locked=row.get("marginMode") == "strictIsolated",
        margin_tiers=tiers,
    )
