"""What a client may subscribe to, and how the venue names it back.

A subscription becomes a key (channel and parameters) and an acknowledgement with the venue's
defaults added. Unknown types and parameters are refused with the venue's texts. It knows no
connection and no data.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from core.model.ids import is_address
from core.simulation.market.candles import INTERVALS_NS
from core.simulation.wire.board import FIGURES_MAX, FIGURES_MIN, MANTISSAS

Key = tuple[Any, ...]

COIN_CHANNELS = frozenset({"bbo", "trades", "activeAssetCtx"})
USER_CHANNELS = frozenset(
    {
        "orderUpdates",
        "userEvents",
        "userFills",
        "userFundings",
        "userNonFundingLedgerUpdates",
        "openOrders",
        "clearinghouseState",
    }
)


class Subscription(msgspec.Struct, frozen=True):
    """One subscription: its key, and the object the acknowledgement echoes."""

    key: Key
    echo: dict[str, Any]

    @property
    def channel(self) -> str:
        """The subscription's type."""
        return str(self.key[0])

    @property
    def user(self) -> str | None:
        """The address of a user channel."""
        return str(self.key[1]) if self.channel in USER_CHANNELS else None


def parse_subscription(wish: Any, coins: Collection[str]) -> Subscription | None:
    """Read a subscription object; ``None`` if the venue would not know it.

    Parameters
    ----------
    wish : Any
        What the client sent under ``subscription``.
    coins : collection of str
        The listed coins.
    """
    if not isinstance(wish, dict):
        return None
    kind = wish.get("type")
    if kind == "allMids":
        return Subscription(("allMids",), {"type": kind})
    if kind in USER_CHANNELS:
        return _user_subscription(wish)
    coin = wish.get("coin")
    if not isinstance(coin, str) or coin not in coins:
        return None
    if kind in COIN_CHANNELS:
        return Subscription((kind, coin), {"type": kind, "coin": coin})
    if kind == "candle":
        interval = wish.get("interval")
        if not isinstance(interval, str) or interval not in INTERVALS_NS:
            return None
        return Subscription(
            (kind, coin, interval), {"type": kind, "interval": interval, "coin": coin}
        )
    return _book_subscription(wish, coin) if kind == "l2Book" else None


def is_valid_rounding(figures: Any, mantissa: Any) -> bool:
    """Tell whether book prices may be rounded so: 2 to 5 figures, a mantissa only with five."""
    if figures is None:
        return mantissa is None
    is_figures = type(figures) is int and FIGURES_MIN <= figures <= FIGURES_MAX
    return is_figures and (mantissa is None or (figures == FIGURES_MAX and mantissa in MANTISSAS))


def _user_subscription(wish: dict[str, Any]) -> Subscription | None:
    user = wish.get("user")
    if not isinstance(user, str) or not is_address(user.lower()):
        return None
    kind, address = wish["type"], user.lower()
    return Subscription((kind, address), {"type": kind, "user": address})


def _book_subscription(wish: dict[str, Any], coin: str) -> Subscription | None:
    figures, mantissa = wish.get("nSigFigs"), wish.get("mantissa")
    is_fast = wish.get("fast") is True
    if not is_valid_rounding(figures, mantissa):
        return None
    echo = {"type": "l2Book", "coin": coin, "nSigFigs": figures, "mantissa": mantissa}
    if is_fast:
        echo["fast"] = True
    return Subscription(("l2Book", coin, figures, mantissa, is_fast), echo)
