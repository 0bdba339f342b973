"""Wishes. A strategy says what should be; it never says what to do about it.

A wish stands until the same strategy replaces it, so returning no wish means *no change*, and
wishing the same thing twice creates nothing twice. Prices and sizes are floats here and become
integers in order execution.
"""

from __future__ import annotations

import msgspec

from core.model.codes import Direction


class TargetPosition(msgspec.Struct, frozen=True, kw_only=True, tag="target_position"):
    """Wish to be long, short or flat in a coin, with the prices at which the idea is over.

    Parameters
    ----------
    strength : float
        Share of what sizing allows, above 0 and at most 1; ignored when flat.
    entry_price : float or None
        Resting entry price in USDC; ``None`` enters now, limited by the slippage tolerance.
    stop_price, target_price : float or None
        Where the venue-side stop and take-profit go. A wish that opens exposure carries a stop.
    reason : str
        One plain sentence for the person who asks why.
    """

    coin: str
    strategy: str
    direction: Direction
    reason: str
    strength: float = 1.0
    entry_price: float | None = None
    stop_price: float | None = None
    target_price: float | None = None


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """One resting order wished for: side, price in USDC, size in coins or sized by risk."""

    is_buy: bool
    price: float
    coins: float | None = None
    is_reducing: bool = False


class TargetQuotes(msgspec.Struct, frozen=True, kw_only=True, tag="target_quotes"):
    """Wish for a set of resting post-only orders, and a stop for whatever they accumulate."""

    coin: str
    strategy: str
    quotes: tuple[Quote, ...]
    reason: str
    stop_price: float | None = None
    target_price: float | None = None


Intent = TargetPosition | TargetQuotes
