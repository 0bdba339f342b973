"""Turn whatever a caller has into a `MarketView`, or into nothing.

Strategies may be called with the engine's `MarketView` or with a loose mapping such as
``{"price": 97000.0}`` or ``{"prices": [...], "current_price": 97000.0}``. What is missing stays
unknown (``nan`` or an empty array); what is malformed counts as missing. This module never raises
on data and knows no strategy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from core.model.codes import Regime
from core.model.market import FloatArray, MarketView

PRICE_KEYS = ("price", "current_price", "mid")
CLOSES_KEYS = ("closes", "prices")
_NAN = float("nan")


def read_view(data: MarketView | Mapping[str, Any]) -> MarketView | None:
    """Return a usable view, or ``None`` where even the price is unknown.

    Parameters
    ----------
    data : MarketView or Mapping
        A mapping may carry the field names of `MarketView` and, instead of ``price`` and
        ``closes``, the names in `PRICE_KEYS` and `CLOSES_KEYS`. ``highs`` and ``lows`` that are
        missing or of another length count as equal to ``closes``: a plain series of prices is a
        series of bars without range. Without a price the last close is taken.

    Returns
    -------
    MarketView or None
        With a finite price above 0, a finite ``volatility_scale`` above 0, a finite position, and
        ``highs`` and ``lows`` as long as ``closes``.
    """
    view = data if isinstance(data, MarketView) else _view_of(data)
    is_usable = (
        _is_positive(view.price)
        and _is_positive(view.volatility_scale)
        and math.isfinite(view.position_coins)
        and len(view.highs) == len(view.lows) == len(view.closes)
    )
    return view if is_usable else None


def _view_of(data: Mapping[str, Any]) -> MarketView:
    closes = _array(_first(data, CLOSES_KEYS))
    highs, lows = _array(data.get("highs")), _array(data.get("lows"))
    volumes = _array(data.get("volumes"))
    price = _number(_first(data, PRICE_KEYS), _NAN)
    if math.isnan(price) and len(closes):
        price = float(closes[-1])
    coin = data.get("coin")
    return MarketView(
        coin=coin if isinstance(coin, str) else "",
        now_ns=int(_number(data.get("now_ns"), 0.0)),
        price=price,
        bid=_number(data.get("bid"), _NAN),
        ask=_number(data.get("ask"), _NAN),
        closes=closes,
        highs=highs if len(highs) == len(closes) else closes,
        lows=lows if len(lows) == len(closes) else closes,
        volumes=volumes if len(volumes) == len(closes) else np.full(len(closes), _NAN),
        imbalance_5=_number(data.get("imbalance_5"), 0.0),
        atr=_number(data.get("atr"), _NAN),
        sigma=_number(data.get("sigma"), _NAN),
        volatility_scale=_number(data.get("volatility_scale"), 1.0),
        regime=_regime(data.get("regime")),
        regime_confidence=_number(data.get("regime_confidence"), 0.0),
        position_coins=_number(data.get("position_coins"), 0.0),
        entry_price=_number(data.get("entry_price"), _NAN),
        position_age_s=_number(data.get("position_age_s"), 0.0),
        funding_rate_1h=_number(data.get("funding_rate_1h"), _NAN),
    )


def _is_positive(value: float) -> bool:
    return math.isfinite(value) and value > 0.0


def _first(data: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((data[key] for key in keys if data.get(key) is not None), None)


def _number(value: Any, otherwise: float) -> float:
    """Read a finite number; a missing or malformed one is ``otherwise``."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return otherwise
    return number if math.isfinite(number) else otherwise


def _array(value: Any) -> FloatArray:
    """Read a one-dimensional series as float64; anything else is empty."""
    if value is None:
        return np.empty(0)
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.empty(0)
    return np.ascontiguousarray(array) if array.ndim == 1 else np.empty(0)


def _regime(value: Any) -> Regime:
    try:
        return Regime(value)
    except ValueError:
        return Regime.UNKNOWN
