"""Grid trading: rest post-only orders on levels around the price. See ``docs/grid_trading.md``.

Knows levels, bounds and costs; sizes nothing beyond a configured quantity and sends nothing.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from core.model.codes import Regime
from core.model.intents import Intent, Quote, TargetQuotes
from core.model.market import MarketView
from core.model.settings import GridTradingParams, RegimeFit
from core.strategies import kernels
from core.strategies.base import KernelStrategy
from core.strategies.costs import EDGE_RATIO_MIN, maker_round_trip

SCALE_STEPS_PER_OCTAVE = 2
"""Volatility moves the levels only in steps of the square root of two, so that they can rest."""

_COINS_LEFT_MIN = 1e-9


class GridTrading(KernelStrategy[GridTradingParams]):
    """Buy below and sell above on a fixed lattice of prices; take profit one level further on."""

    name = "grid_trading"
    settings_type = GridTradingParams
    warm_up_count = kernels.SCALPING_PERIOD
    regime_fit: ClassVar[RegimeFit] = {
        Regime.CALM: 0.8,
        Regime.RANGING: 0.7,
        Regime.VOLATILE: 0.3,
        Regime.TRENDING: 0.1,
    }

    def decide(self, view: MarketView, settings: GridTradingParams) -> list[Intent]:
        """Lay the grid for the lattice cell the price is in, and for what is held."""
        step = settings.grid_size * steady_scale(view.volatility_scale)
        if not _is_continuous(view, step * max(1, settings.num_grids // 2)):
            return []
        if view.position_coins != 0.0:
            return self._held(view, settings, step)
        if step < EDGE_RATIO_MIN * maker_round_trip():
            return self.flat(view, "one level would not cover two maker fees")
        buys, sells = np.empty(settings.num_grids), np.empty(settings.num_grids)
        buy_count, sell_count = kernels.grid_flat_nb(
            view.price,
            view.bid,
            view.ask,
            step,
            settings.num_grids,
            _bound(settings.lower_bound),
            _bound(settings.upper_bound),
            buys,
            sells,
        )
        coins = settings.order_quantity
        quotes = [Quote(is_buy=True, price=float(px), coins=coins) for px in buys[:buy_count]]
        quotes += [Quote(is_buy=False, price=float(px), coins=coins) for px in sells[:sell_count]]
        if not quotes:
            return self.flat(view, "price is outside the bounds of the grid")
        # Until something fills one stop serves two sides: the one below, where there are bids.
        stop = buys[buy_count - 1] / (1 + step) if buy_count else sells[sell_count - 1] * (1 + step)
        return self._quotes(view, quotes, float(stop), f"grid of {100 * step:.2f} % steps")

    def _held(self, view: MarketView, settings: GridTradingParams, step: float) -> list[Intent]:
        """Add further out, take profit on the way back, and stop beyond the outermost level."""
        if not view.entry_price > 0.0:
            return []
        is_long = view.position_coins > 0.0
        adds, takes = np.empty(settings.num_grids), np.empty(settings.num_grids)
        add_count, take_count, stop = kernels.grid_held_nb(
            view.price,
            view.bid,
            view.ask,
            1.0 if is_long else -1.0,
            view.entry_price,
            step,
            settings.num_grids,
            _bound(settings.lower_bound),
            _bound(settings.upper_bound),
            EDGE_RATIO_MIN * maker_round_trip(),
            adds,
            takes,
        )
        if (view.price <= stop) if is_long else (view.price >= stop):
            return self.flat(view, "price is beyond the stop of the grid")
        quotes = [
            Quote(is_buy=is_long, price=float(px), coins=settings.order_quantity)
            for px in adds[:add_count]
        ]
        shares = _shares(abs(view.position_coins), settings.order_quantity, take_count)
        quotes += [
            Quote(is_buy=not is_long, price=float(px), coins=coins, is_reducing=True)
            for px, coins in zip(takes, shares, strict=False)
        ]
        held = "long" if is_long else "short"
        return self._quotes(
            view, quotes, stop, f"grid holding {held}, taking profit level by level"
        )

    def _quotes(
        self, view: MarketView, quotes: list[Quote], stop: float, reason: str
    ) -> list[Intent]:
        return [
            TargetQuotes(
                coin=view.coin,
                strategy=self.name,
                quotes=tuple(quotes),
                reason=reason,
                stop_price=stop,
            )
        ]


def steady_scale(volatility_scale: float) -> float:
    """Round a volatility scale to a power of the square root of two, between 1/4 and 4."""
    octaves = max(-2.0, min(2.0, math.log2(volatility_scale)))
    steps: int = round(octaves * SCALE_STEPS_PER_OCTAVE)
    return float(2.0 ** (steps / SCALE_STEPS_PER_OCTAVE))


def _is_continuous(view: MarketView, reach: float) -> bool:
    """Tell whether recent closes are known and the price is within the grid's reach of the last.

    A price further off is a gap; levels laid there would rest in a market nobody has seen.
    """
    recent = view.closes[-GridTrading.warm_up_count :]
    if len(recent) < GridTrading.warm_up_count or not bool(np.all(recent > 0.0)):
        return False
    last = float(recent[-1])
    return math.isfinite(last) and abs(math.log(view.price / last)) <= reach


def _bound(value: float | None) -> float:
    return math.nan if value is None else value


def _shares(coins: float, quantity: float | None, level_count: int) -> list[float]:
    """Cut a position into quotes of ``quantity`` for at most ``level_count`` levels.

    The last level takes what is left; without a quantity the first level takes everything.
    """
    shares: list[float] = []
    left = coins
    while left > _COINS_LEFT_MIN and len(shares) < level_count:
        is_last = quantity is None or len(shares) == level_count - 1
        share = left if is_last or quantity is None else min(quantity, left)
        shares.append(share)
        left -= share
    return shares
