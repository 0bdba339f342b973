"""Perpetual exchanges that builders deployed: listed as recorded, without a market.

They exist here so that clients which ask for every exchange meet the answers they expect. Nothing
can be traded on them: the venue knows none of their asset ids. Names, order of the exchanges and
open-interest caps are recorded; size step, leverage and margin mode are those of the venue
documentation's example (Retrieve perpetuals asset contexts, HIP-3) where it names the coin, and
those of its equities for every other (an assumption).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from core.simulation.market.universe import SAMPLE_DIR, read_answer

PERP_DEXS_PATH = SAMPLE_DIR / "perp_dexs.json"
FIRST_DEX = ""
"""How the venue names its own perpetuals among those of builders."""
DEX_ASSET_BASE, DEX_ASSET_STEP = 100_000, 10_000
"""Asset id of a builder's coin: base + step * place of the exchange + place of the coin."""
_DOCUMENTED = {"xyz:XYZ100": (4, 20), "xyz:TSLA": (3, 10), "xyz:NVDA": (3, 10)}
"""Size decimals and largest leverage, in the order of the documented universe."""
_OTHER = (3, 10)


class BuilderDex(msgspec.Struct, frozen=True, kw_only=True):
    """One builder's exchange.

    Parameters
    ----------
    place : int
        Its index among all exchanges; the venue's own is 0.
    meta : dict
        What ``meta`` answers for it; callers must not change it.
    caps : tuple of (str, str)
        Open-interest cap in USDC by coin, as recorded.
    """

    name: str
    place: int
    meta: dict[str, Any]
    caps: tuple[tuple[str, str], ...]

    @property
    def coins(self) -> tuple[str, ...]:
        """Its coins in the order of its universe."""
        return tuple(row["name"] for row in self.meta["universe"])

    def market(self, coin: str) -> dict[str, Any]:
        """Return a coin's row of the universe."""
        rows: list[dict[str, Any]] = self.meta["universe"]
        return rows[self.coins.index(coin)]

    def asset(self, coin: str) -> int:
        """Return a coin's asset id (venue documentation, asset ids)."""
        return DEX_ASSET_BASE + DEX_ASSET_STEP * self.place + self.coins.index(coin)


@cache
def recorded_perp_dexs() -> list[Any]:
    """Return the recorded answer of the ``perpDexs`` query; callers must not change it.

    Raises
    ------
    DataFileError
        If the shipped file is missing or damaged.
    """
    return read_answer(PERP_DEXS_PATH, list[Any])


@cache
def builder_dexes() -> dict[str, BuilderDex]:
    """Return every builder's exchange by name, in the venue's order."""
    dexes = {}
    for place, row in enumerate(recorded_perp_dexs()):
        if row is None:
            continue
        caps = tuple((coin, cap) for coin, cap in row["assetToStreamingOiCap"])
        dexes[row["name"]] = BuilderDex(
            name=row["name"], place=place, meta=_meta([coin for coin, _ in caps]), caps=caps
        )
    return dexes


def builder_dex_of(coin: str) -> BuilderDex | None:
    """Return the exchange that lists a coin such as ``xyz:TSLA``."""
    dex = builder_dexes().get(coin.partition(":")[0])
    return dex if dex is not None and coin in dex.coins else None


def _meta(recorded: list[str]) -> dict[str, Any]:
    first = [coin for coin in _DOCUMENTED if coin in recorded]
    coins = first + [coin for coin in recorded if coin not in first]
    return {
        "universe": [_market(coin) for coin in coins],
        "marginTables": [],
        "collateralToken": 0,
    }


def _market(coin: str) -> dict[str, Any]:
    sz_decimals, leverage_max = _DOCUMENTED.get(coin, _OTHER)
    return {
        "szDecimals": sz_decimals,
        "name": coin,
        "maxLeverage": leverage_max,
        "marginTableId": leverage_max,
        "onlyIsolated": True,
        "marginMode": "strictIsolated",
    }
