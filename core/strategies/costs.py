"""What a trade costs at the venue, as shares of the price: no idea smaller than this is traded.

The account's true tier is known to the engine, not here; these are the rates of an account without
volume, so an idea that passes passes in every tier.
"""

from __future__ import annotations

import math

TAKER_FEE = 0.00045
MAKER_FEE = 0.00015
"""Perpetuals, tier 0. Source: Hyperliquid docs, "Fees"."""

EDGE_RATIO_MIN = 1.5
"""An expected move must be this many round-trip costs: breaking even is not an edge."""

_SPREAD_UNKNOWN = 0.0002


def taker_round_trip(price: float, bid: float, ask: float) -> float:
    """Return the cost of entering and leaving at the market, as a share of the price.

    Two taker fees and one spread. An unknown touch (``nan``, crossed or empty) counts as a spread
    of 2 bps, which is wide for a liquid perpetual and so errs against trading.
    """
    is_known = math.isfinite(bid) and math.isfinite(ask) and 0.0 < bid <= ask
    return 2.0 * TAKER_FEE + ((ask - bid) / price if is_known else _SPREAD_UNKNOWN)


def maker_round_trip() -> float:
    """Return the cost of entering and leaving by resting orders, as a share of the price."""
    return 2.0 * MAKER_FEE
